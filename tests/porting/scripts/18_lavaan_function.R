library(lavaan)
HS <- read.csv("hs1939.csv")
full <- '
  # latent variables
  visual =~ 1*x1 + x2 + x3
  textual =~ 1*x4 + x5 + x6
  # residual variances
  x1 ~~ x1
  x2 ~~ x2
  x3 ~~ x3
  x4 ~~ x4
  x5 ~~ x5
  x6 ~~ x6
  # factor (co)variances
  visual ~~ visual
  textual ~~ textual
  visual ~~ textual
'
fit <- lavaan(full, data = HS)
short <- "visual =~ x1 + x2 + x3
          textual =~ x4 + x5 + x6"
fit2 <- lavaan(short, data = HS, auto.var = TRUE, auto.fix.first = TRUE, auto.cov.lv.x = TRUE)
m <- lavInspect(fit, "converged")
implied <- fitted(fit)
