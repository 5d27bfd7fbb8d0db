library(lavaan)
# two-level CFA with covariates, from lavaan's help pages
model <- '
    level: 1
        fw =~ y1 + y2 + y3
        fw ~ x1 + x2 + x3
    level: 2
        fb =~ y1 + y2 + y3
        fb ~ w1 + w2
'
fit <- sem(model = model, data = Demo.twolevel, cluster = "cluster")
summary(fit)
icc <- lavInspect(fit, "icc")
fm <- fitMeasures(fit)[c("cfi", "rmsea", "srmr_within", "srmr_between")]
pe <- parameterEstimates(fit)
within <- pe[pe$level == 1 & pe$op == "~", ]

# the same without the covariates at level 2
fit0 <- sem("level: 1
  fw =~ y1 + y2 + y3
  fw ~ x1 + x2 + x3
level: 2
  fb =~ y1 + y2 + y3
  fb ~ 0*w1 + 0*w2", data = Demo.twolevel, cluster = "cluster")
lrt <- anova(fit, fit0)
