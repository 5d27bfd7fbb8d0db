library(lavaan)

data <- read.csv("hs1939.csv", na.strings = c("NA", "-99"))
data$x1[data$x1 > 6.5] <- NA
data$x5[data$x2 < 4.5] <- NA
data[["x9"]][data$x4 == 1] <- NA

model <- 'g =~ x1 + x2 + x3 + x4 + x5 + x9'

fit.ml  <- cfa(model, data = data, missing = "fiml")
fit.mlr <- cfa(model, data = data, missing = "ml", estimator = "MLR")
fit.lw  <- cfa(model, data = na.omit(data))
measures <- fitMeasures(fit.mlr, c("chisq", "df", "chisq.scaled", "cfi", "rmsea"))
complete <- nrow(data[complete.cases(data), ])
