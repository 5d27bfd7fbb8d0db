library(lavaan)
HS = read.csv("hs1939.csv")
est = "ML"
equal.means = FALSE
model = "
f1 =~ x1 + x2 + x3
f2 =~ x4 + x5 + x6
f3 =~ x7 + x8 + x9
"
fit.a = cfa(model, HS, std.lv = TRUE, orthogonal = TRUE, estimator = est)
fit.b = cfa(model, HS, meanstructure = TRUE, information = "observed", likelihood = "normal")
fit.c = cfa(model, HS, auto.fix.first = FALSE, std.lv = TRUE, mimic = "lavaan", se = "standard")
fit.d = sem("f1 =~ x1 + x2 + x3
             f1 ~ x4", HS, fixed.x = FALSE, test = "standard")
fit.e = sem("x1 ~ x4 + x5", HS, int.ov.free = TRUE, meanstructure = TRUE, se = "none")
out = list(a = AIC(fit.a), b = AIC(fit.b))
