# What is done with missing values on the way to a model
library(dplyr)
library(lavaan)

d <- read.csv("demo_missing.csv")[, c("y1", "y2", "y3", "x1", "w1", "cluster")]
d <- d[1:600, ]

d$high  <- ifelse(d$x1 > 0 & d$y1 > 0, 1, 0)
d$either <- as.numeric(d$x1 > 0 | d$y2 > 0)
d$not_low <- ifelse(!(d$y1 < 0), 1, 0)
d$kind  <- ifelse(is.na(d$y3), "missing", "there")
d$y1z   <- as.numeric(scale(d$y1))
d$mean_all  <- ave(d$y1, d$cluster)
d$mean_seen <- ave(d$y1, d$cluster, FUN = function(x) mean(x, na.rm = TRUE))
d$y3[d$y3 > 2] <- NA
d$total <- rowMeans(d[, c("y1", "y2")])
d$seen  <- rowMeans(d[, c("y1", "y2")], na.rm = TRUE)

kept    <- subset(d, y1 > 0)
other   <- filter(d, y1 != 1, kind == "there")
without <- d %>% filter(!is.na(y1), y2 <= 1 | y3 > 0) %>% select(-w1)
by_cluster <- d %>%
  group_by(cluster) %>%
  summarise(m = mean(y1), seen = mean(y1, na.rm = TRUE), s = sd(y2, na.rm = TRUE), n = n())
agg <- aggregate(cbind(y1, y2) ~ cluster, data = d, FUN = mean)
both <- merge(d, by_cluster, by = "cluster")
centred <- d %>% group_by(cluster) %>% mutate(c1 = y1 - mean(y1, na.rm = TRUE), c2 = y2 - mean(y2)) %>% ungroup()
complete <- na.omit(d)
n_missing <- sum(is.na(d$y1))
n_high <- sum(d$x1 > 1, na.rm = TRUE)
fit <- sem("y1 ~ x1 + y2", data = d, missing = "fiml")
