# 1-1-1 mediation in two levels, with indirect effects at both
library(lavaan)
mydata <- read.csv("mediation.csv")
mod_111 <- '
level: 1
  m ~ aw*x
  y ~ bw*m + x
level: 2
  m ~ ab*w
  y ~ bb*m + w
indw := aw*bw
indb := ab*bb
'
fit_111 <- sem(mod_111, data = mydata, cluster = "id", verbose = FALSE, optim.method = "nlminb")
est <- parameterEstimates(fit_111)
defined <- subset(est, op == ":=", select = c(lhs, op, rhs, est, se))
fits <- c(logl = fitMeasures(fit_111, "logl"))
print(round(fitMeasures(fit_111, c("cfi", "rmsea")), 3))
