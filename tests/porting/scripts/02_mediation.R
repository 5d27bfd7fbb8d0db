library("lavaan")
dat <- read.csv("mediation.csv", header = TRUE)

## simple mediation with an indirect effect
model <- "
  # direct effect
  y ~ c*x
  # mediator
  m ~ a*x
  y ~ b*m
  # indirect effect (a*b)
  ab := a*b
  # total effect
  total := c + (a*b)
"
fit <- sem(model, data = dat)
summary(fit, ci = T)
est <- parameterEstimates(fit, level = .90)
ind <- est[est$op == ":=", ]
ab <- est$est[est$label == "ab"]

fit.mlr <- sem(model, data = dat, estimator = "MLR")
est.mlr <- parameterestimates(fit.mlr, standardized = TRUE, rsquare = TRUE)
a <- coef(fit)["a"]
V <- vcov(fit.mlr)
se <- sqrt(diag(vcov(fit.mlr)))
aic <- AIC(fit.mlr); bic <- BIC(fit.mlr)
