library(lavaan)
dat <- read.csv("mediation.csv")

free <- '
  y ~ b1*x + b2*m
  m ~ a*x
'
fit <- sem(free, data = dat)
equal <- sem(paste(free, "b1 == b2", sep = "\n"), data = dat)
also_equal <- sem(free, data = dat, constraints = "b1 == b2")

wald  <- lavTestWald(fit, constraints = "b1 == b2")
wald2 <- lavTestWald(fit, constraints = "b1 == 0.1\n b2 == 0.1")
wald$stat
lr    <- lavTestLRT(equal, fit)
chisq <- fitMeasures(equal, "chisq")
nested <- sem("y ~ m \n m ~ x", data = dat)
score <- lavTestScore(nested, add = "y ~ x")
mi    <- modindices(nested)
if (!requireNamespace("lavaan")) install.packages("lavaan")
