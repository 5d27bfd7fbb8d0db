# Latent growth curves ----------------------------------------------------
library(lavaan)

wide <- read.table("growth.csv", header = TRUE, sep = ",")
str(wide)

linear <- '
  i =~ 1*t1 + 1*t2 + 1*t3 + 1*t4
  s =~ 0*t1 + 1*t2 + 2*t3 + 3*t4
'
quadratic <- paste(linear, "
  q =~ 0*t1 + 1*t2 + 4*t3 + 9*t4
  q ~~ 0*q + 0*i + 0*s")

fit.linear    <- growth(linear, data = wide)
fit.quadratic <- growth(quadratic, data = wide)
summary(fit.linear, fit.measures = TRUE)
lavTestLRT(fit.linear, fit.quadratic) -> test

means <- colMeans(wide[, c("t1", "t2", "t3", "t4")])
pe <- parameterEstimates(fit.linear)
latent_means <- pe[pe$op == "~1" & pe$lhs %in% c("i", "s"), "est"]
fit.mlr <- update(fit.linear, estimator = "MLR")
