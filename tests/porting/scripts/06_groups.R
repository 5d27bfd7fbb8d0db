### Measurement invariance across schools ###
require(lavaan)
hs <- read.csv("hs1939.csv", stringsAsFactors = FALSE)
table(hs$school)

mod <- 'visual  =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed   =~ x7 + x8 + x9'

configural <- cfa(mod, data = hs, group = "school")
metric     <- cfa(mod, data = hs, group = "school", group.equal = "loadings")
scalar     <- cfa(mod, data = hs, group = "school",
                  group.equal = c("loadings", "intercepts"))
partial    <- cfa(mod, data = hs, group = "school",
                  group.equal = c("loadings", "intercepts"),
                  group.partial = c("x3 ~ 1", "x7 ~ 1"))

t1 <- anova(configural, metric)
t2 <- anova(metric, scalar)
t3 <- lavTestLRT(scalar, partial)
anova(configural, metric, scalar)
delta.cfi <- fitMeasures(metric, "cfi") - fitMeasures(scalar, "cfi")

# elements of c() are by group
path <- sem("x1 ~ c(a, b)*x4
             d := a - b", data = hs, group = "school", meanstructure = TRUE)
est <- parameterEstimates(path)
