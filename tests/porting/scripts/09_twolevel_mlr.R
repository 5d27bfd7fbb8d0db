library(lavaan)
Daten <- read.csv("article.csv")
Daten$x1m <- ave(Daten$x1, Daten$id)
Daten$x1c <- Daten$x1 - ave(Daten$x1, Daten$id, FUN = function(v) mean(v, na.rm = TRUE))
Daten <- transform(Daten, w1c = w1 - mean(w1))

model <- r"(
level: 1
  y ~ x1c
level: 2
  y ~ w1c + x1m
)"
opts <- "MLR"
cl <- "id"
fit <- sem(model, Daten, cluster = cl, estimator = opts)
est <- parameterEstimates(fit)
b <- coef(fit)[c("y~x1c", "y~w1c.l2")]
z <- est$z[est$lhs == "y" & est$rhs == "x1c"]
loglik <- as.numeric(logLik(fit))
