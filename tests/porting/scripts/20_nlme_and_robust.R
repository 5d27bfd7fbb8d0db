library(nlme)
library(lavaan)
sleep <- read.csv("sleepstudy.csv")
fit.lme <- lme(Reaction ~ Days, random = ~ Days | Subject, data = sleep)
fit.ml <- lme(Reaction ~ Days, data = sleep, random = ~ 1 | Subject, method = "ML")

# a single-level model with cluster-robust standard errors
med <- read.csv("mediation.csv")
robust <- sem("y ~ m + x
               m ~ x", data = med, cluster = "id")
est <- parameterEstimates(robust)
rsq <- lavInspect(robust, "rsquare")
