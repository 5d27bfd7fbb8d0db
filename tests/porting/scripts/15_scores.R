library(lavaan)
hs <- read.csv("hs1939.csv")
model <- 'visual =~ x1 + x2 + x3
speed =~ x7 + x8 + x9'
fit <- cfa(model, data = hs, meanstructure = TRUE)
scores <- lavPredict(fit)
bartlett <- lavPredict(fit, method = "Bartlett")
r <- cor(scores)
head(scores)
hs <- cbind(hs, scores)
first <- hs$visual - hs[1, "visual"]
spread <- sd(scores[, 2])
hs$total <- rowMeans(hs[, c("x1", "x2", "x3")])
hs$z <- as.numeric(scale(hs$total))
hs$high <- ifelse(hs$z > 0.5, 1, 0)
hs$kind <- ifelse(hs$school == "Pasteur" & hs$z > 0, "yes", "no")
m <- mean(hs$total); s <- sd(hs$total)
p <- mean(hs$high)
fit2 <- sem("f =~ x1 + x2 + x3\n f ~ high", data = subset(hs, kind == "no" | z > 0))
