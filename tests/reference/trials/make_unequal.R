# nlme's varIdent with random slopes, its predictions and residuals; Rscript make_unequal.R OUT.json
suppressMessages(library(nlme))
d <- read.csv("data/unequal.csv"); d$both <- paste(d$group, d$arm, sep = ":")
control <- lmeControl(msTol = 1e-13, tolerance = 1e-11, maxIter = 500, msMaxIter = 500,
                      niterEM = 200, opt = "optim", msVerbose = FALSE, returnObject = TRUE)
found <- list()
for (by in c("group", "both")) for (method in c("ML", "REML")) {
  fit <- lme(y ~ arm + x + group, random = ~ x | id, data = d, method = method, control = control,
             weights = varIdent(form = as.formula(paste("~ 1 |", by))))
  ratio <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  psi <- getVarCov(fit)
  found[[paste("slope", by, method, sep = "_")]] <- list(
    coef = unname(fixef(fit)), loglik = as.numeric(logLik(fit)), psi = matrix(as.numeric(psi), 2),
    sd = as.list(fit$sigma * ratio), vcov = unname(vcov(fit)))
}
fit <- lme(y ~ arm + x + group, random = ~ 1 | id, data = d, method = "REML", control = control,
           weights = varIdent(form = ~ 1 | group))
found$rows <- list(ranef = ranef(fit)[[1]], fitted = unname(fitted(fit)[1:20]),
                   pearson = unname(residuals(fit, type = "pearson")[1:20]))
jsonlite::write_json(found, commandArgs(TRUE)[1], digits = NA, auto_unbox = TRUE)
