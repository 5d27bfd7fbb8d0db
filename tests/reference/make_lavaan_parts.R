# Covariates with a part at both levels, lavaan's default (fixed.x = TRUE).
#   Rscript make_lavaan_parts.R DATA lavaan_parts.json
# lavaan fixes their moments at its saturated estimates, which its EM algorithm leaves early (0.6-14
# also leaves a part of their means at level 1 where these are not 0). So the saturated model is
# fitted as a model, led to the very optimum by Newton steps on lavaan's own derivatives, and the
# moments are given to lavaan's fixed rows; then the model's fit is led to its optimum likewise.
suppressMessages({library(lavaan); library(jsonlite)})
args <- commandArgs(TRUE)
tight <- list(rel.tol = 1e-15, x.tol = 1e-12, abs.tol = 0, eval.max = 1e5, iter.max = 1e5)
run <- function(model, data, cluster, ...)
  suppressWarnings(sem(model, data, cluster = cluster, h1 = FALSE, baseline = FALSE, test = "none", ...))
values <- function(f) { pt <- parTable(f); v <- numeric(max(pt$free)); free <- pt$free > 0; v[pt$free[free]] <- pt$est[free]; v }
with_values <- function(pt, v) {
  pt <- as.list(pt); free <- pt$free > 0; pt$ustart[free] <- v[pt$free[free]]
  pt$est <- pt$se <- pt$start <- NULL; pt
}
polish <- function(f, data, cluster, ...) {
  for (k in 1:8) {
    gradient <- as.numeric(lavInspect(f, "gradient")); H <- unclass(lavInspect(f, "information.observed"))
    rows <- lavInspect(f, "ntotal")
    step <- as.numeric(solve(lavInspect(f, "nclusters") * H, -rows * gradient))
    left <- sqrt(abs(sum(step * gradient) * rows))
    if (left < 1e-7) break
    f <- run(with_values(parTable(f), values(f) + step), data, cluster, optim.method = "none", ...)
  }
  list(fit = f, left = left)
}
pairs <- function(names) paste(unlist(lapply(seq_along(names), function(i) paste(names[i], "~~", names[i:length(names)]))), collapse = "\n ")
cases <- list()
case <- function(name, model, file, cluster, split, within, between, ...) {
  data <- read.csv(file.path(args[1], file))
  saturated <- paste("level: 1\n", pairs(c(split, within)), "\nlevel: 2\n", pairs(c(split, between)))
  h1 <- polish(run(saturated, data, cluster, fixed.x = FALSE, control = tight), data, cluster, fixed.x = FALSE)
  moments <- parTable(h1$fit)
  pt <- as.list(parTable(run(model, data, cluster, do.fit = FALSE, ...)))
  for (row in which(pt$exo == 1)) {
    same <- moments$op == pt$op[row] & moments$block == pt$block[row] &
      ((moments$lhs == pt$lhs[row] & moments$rhs == pt$rhs[row]) | (moments$lhs == pt$rhs[row] & moments$rhs == pt$lhs[row]))
    pt$ustart[row] <- moments$est[same]
  }
  pt$est <- pt$se <- pt$start <- NULL
  found <- polish(run(pt, data, cluster, control = tight, ...), data, cluster, ...)
  f <- found$fit; pe <- parameterEstimates(f, remove.nonfree = FALSE)
  fit <- list(logl = as.numeric(logLik(f)), aic = AIC(f), bic = BIC(f), npar = attr(logLik(f), "df"), ntotal = lavInspect(f, "ntotal"))
  cases[[name]] <<- list(fun = "sem", model = model, data = file, cluster = cluster, options = if (length(list(...))) list(...) else NULL, note = "",
    remaining = found$left, estimates = as.data.frame(unclass(pe)), fit = fit, coef_names = names(coef(f)), coef = as.numeric(coef(f)), vcov = unclass(vcov(f)))
  cat(name, "logl", sprintf("%.9f", fit$logl), "npar", fit$npar, "saturated", sprintf("%.9f", as.numeric(logLik(h1$fit))), "left", h1$left, found$left, "\n")
}
contextual <- "level: 1\n y ~ x\nlevel: 2\n y ~ x + w"
case("parts_contextual_ml", contextual, "mediation.csv", "id", c("y", "x"), NULL, "w")
case("parts_contextual_mlr", contextual, "mediation.csv", "id", c("y", "x"), NULL, "w", estimator = "MLR")
case("parts_beside_others_ml", "level: 1\n y ~ x + m\nlevel: 2\n y ~ x + w + z", "mediation.csv", "id", c("y", "x"), "m", c("w", "z"))
case("parts_of_a_mediator_ml", "level: 1\n m ~ x\n y ~ m\nlevel: 2\n y ~ m + w", "mediation.csv", "id", c("m", "y"), "x", "w")
case("parts_latent_mlr", "level: 1\n fw =~ y1 + y2 + y3\n fw ~ y5 + x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ y5 + w1", "demo.csv", "cluster",
  c("y1", "y2", "y3", "y5"), "x1", "w1", estimator = "MLR")
writeLines(toJSON(list(lavaan = as.character(packageVersion("lavaan")), R = R.version.string, cases = cases), digits = I(15), auto_unbox = TRUE, na = "null", null = "null", dataframe = "columns"), args[2])
