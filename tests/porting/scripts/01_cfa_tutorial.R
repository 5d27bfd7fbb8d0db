# A three-factor CFA of the Holzinger and Swineford data, as every tutorial has it
library(lavaan)

HS <- read.csv("hs1939.csv")
head(HS)

# specify the model
HS.model <- ' visual  =~ x1 + x2 + x3
              textual =~ x4 + x5 + x6
              speed   =~ x7 + x8 + x9 '

# fit the model
fit <- cfa(HS.model, data = HS)

# display summary output
summary(fit, fit.measures = TRUE, standardized = TRUE)

pe   <- parameterEstimates(fit)
std  <- standardizedSolution(fit)
fm   <- fitMeasures(fit, c("chisq", "df", "pvalue", "cfi", "tli", "rmsea", "srmr", "aic", "bic"))
mi   <- modindices(fit, sort. = TRUE, minimum.value = 10)
cors <- std[std$op == "~~" & std$lhs != std$rhs, c("lhs", "op", "rhs", "est.std", "se")]
cat("CFI:", round(fitMeasures(fit, "cfi"), 3), "\n")
ll <- logLik(fit)
n <- nobs(fit)
