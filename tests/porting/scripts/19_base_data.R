library(lme4)
d <- read.csv("article.csv")

# cluster means by aggregate and merge
means <- aggregate(x1 ~ id, data = d, FUN = mean)
names(means)[2] <- "x1_mean"
d <- merge(d, means, by = "id")
d$x1_dev <- d$x1 - d$x1_mean
d$group <- factor(ifelse(d$w1 > 0, "high", "low"), levels = c("low", "high"))
d <- d[!is.na(d$y) & d$y < 4, ]
d <- d[, c("id", "y", "x1_dev", "x1_mean", "w1", "group")]
small <- subset(d, id %in% 1:40, select = -w1)

f <- y ~ x1_dev + x1_mean + group + (1 | id)
m1 <- lmer(f, data = d)
m2 <- lmer(as.formula("y ~ x1_dev * group + (x1_dev | id)"), data = small, REML = F)
out <- fixef(m1)["x1_dev"]
n <- nrow(small)
total <- colMeans(small[, c("y", "x1_dev")])
