# The cases of make_lavaan.R that mlsem fits, and more, with lavaan led to the very optimum.
#   Rscript make_lavaan_tight.R OUTDIR     (OUTDIR/data holds the files of make_lavaan.R)
# lavaan's optimiser stops up to 1.5e-3 standard errors early. So every fit is continued with Newton
# steps on lavaan's own gradient and observed information, each point evaluated by lavaan itself
# (optim.method = "none"); where constraints are nonlinear or inequalities, lavaan's optimiser with
# tight control is all there is. `remaining` is the length of the step left, in standard errors.
suppressMessages({library(lavaan); library(jsonlite)})
out <- commandArgs(TRUE)[1]
path <- function(name) file.path(out, "data", name)
tight <- list(rel.tol = 1e-15, x.tol = 1e-12, abs.tol = 0, eval.max = 1e5, iter.max = 1e5)

# small clusters, many of one row; y4 has no between variance
set.seed(31)
n <- sample(1:6, 60, TRUE); id <- rep(seq_along(n), n); N <- length(id)
w <- rnorm(60); fb <- .4 * w + rnorm(60, 0, .6); fw <- rnorm(N)
small <- data.frame(id, y1 = 1 + fb[id] + fw + rnorm(N, 0, .7), y2 = .8 * (fb[id] + fw) + rnorm(60, 0, .3)[id] + rnorm(N, 0, .8),
  y3 = .9 * fb[id] + .7 * fw + rnorm(60, 0, .4)[id] + rnorm(N, 0, .7), y4 = .6 * fw + rnorm(N, 0, .9), x = rnorm(N), w = w[id], v = (.5 * fb + rnorm(60, 0, .7))[id])
# linear growth of persons in clusters
set.seed(32)
n <- sample(2:9, 60, TRUE); id <- rep(seq_along(n), n); N <- length(id)
i <- 2 + rnorm(60, 0, .6)[id] + rnorm(N); s <- .5 + rnorm(60, 0, .25)[id] + rnorm(N, 0, .4)
growth_data <- data.frame(id, sapply(0:3, function(t) i + t * s + rnorm(60, 0, .3)[id] + rnorm(N, 0, .7)))
names(growth_data)[-1] <- paste0("t", 1:4)
save_data <- function(d, name) { d[-1] <- round(d[-1], 5); write.csv(d, path(name), row.names = FALSE, quote = FALSE) }
save_data(small, "small.csv"); save_data(growth_data, "growth.csv")

quiet <- function(e) suppressWarnings(try(e, silent = TRUE))
call_lavaan <- function(fun, model, data, cluster, options, ...) {
  a <- c(list(model = model, data = data, h1 = FALSE, baseline = FALSE, test = "none"), options, list(...))
  if (!is.null(cluster)) a$cluster <- cluster
  quiet(do.call(fun, a))
}
at_values <- function(f, values, ...) {
  pt <- as.list(parTable(f)); free <- pt$free > 0
  pt$ustart[free] <- values[pt$free[free]]; pt$est <- pt$se <- pt$start <- NULL
  call_lavaan(model = pt, ..., optim.method = "none")
}
newton <- function(f) {  # step, and its length in standard errors
  gradient <- as.numeric(lavInspect(f, "gradient")); H <- unclass(lavInspect(f, "information.observed"))
  rows <- lavInspect(f, "ntotal"); units <- if (lavInspect(f, "nlevels") > 1) lavInspect(f, "nclusters") else rows
  J <- f@Model@con.jac; K <- diag(length(gradient))
  if (length(J) > 0) { J <- matrix(J, ncol = length(gradient)); K <- MASS::Null(t(J)) }
  step <- as.numeric(K %*% solve(units * t(K) %*% H %*% K, -rows * t(K) %*% gradient))
  list(step = step, length = sqrt(abs(sum(step * gradient) * rows)))
}
cases <- list()
case <- function(name, model, file, cluster = NULL, ..., fun = "sem", polish = TRUE, implied = FALSE, from = NULL, note = "") {
  data <- read.csv(path(file)); options <- list(...)
  f <- call_lavaan(fun, model, data, cluster, options, control = tight)
  if (!inherits(f, "try-error") && !lavInspect(f, "converged") && !polish) f <- call_lavaan(fun, model, data, cluster, options)
  if (!is.null(from)) f <- at_values(f, from, fun = fun, data = data, cluster = cluster, options = options)
  if (inherits(f, "try-error") || (!polish && !lavInspect(f, "converged"))) { cat(name, "FAILED", f, "\n"); return(invisible()) }
  remaining <- NA
  if (polish) {
    for (k in 1:8) {
      at <- quiet(newton(f)); if (inherits(at, "try-error")) { cat(name, "no step:", at, "\n"); break }
      remaining <- at$length
      if (remaining < 1e-7 || k == 8) break
      f <- at_values(f, as.numeric(lav_coef(f)) + at$step, fun = fun, data = data, cluster = cluster, options = options)
    }
  }
  if (!lavInspect(f, "converged")) { cat(name, "NOT CONVERGED\n"); return(invisible()) }
  pe <- parameterEstimates(f, remove.nonfree = FALSE)
  fit <- list(logl = as.numeric(quiet(logLik(f))), aic = quiet(AIC(f)), bic = quiet(BIC(f)), npar = attr(quiet(logLik(f)), "df"), ntotal = lavInspect(f, "ntotal"))
  cases[[name]] <<- list(fun = fun, model = model, data = file, cluster = cluster, options = if (length(options)) options else NULL, note = note, remaining = remaining,
    estimates = as.data.frame(unclass(pe)), fit = fit, coef_names = names(coef(f)), coef = as.numeric(coef(f)), vcov = unclass(vcov(f)),
    implied = if (implied) lapply(if (lavInspect(f, "nlevels") > 1) lavInspect(f, "implied") else list(lavInspect(f, "implied")),
      function(m) list(names = rownames(m$cov), cov = unclass(m$cov), mean = as.numeric(m$mean))))
  cat(name, "ok  logl", sprintf("%.9f", fit$logl), " remaining", format(remaining, digits = 2), "\n")
}
lav_coef <- function(f) { pt <- parTable(f); v <- numeric(max(pt$free)); free <- pt$free > 0; v[pt$free[free]] <- pt$est[free]; v }

ri <- "level: 1\n y ~ x1 + int\nlevel: 2\n y ~ w1"
cfa2 <- "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1 + x2 + x3\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1 + w2"
two <- "level: within\n f1 =~ y1 + y2 + y3\n f2 =~ y4 + y5 + y6\nlevel: between\n fb =~ y1 + y2 + y3 + y4 + y5 + y6"
four <- "level: within\n f1 =~ y1 + y2 + y3\n f2 =~ y4 + y5 + y6\nlevel: between\n b1 =~ y1 + y2 + y3\n b2 =~ y4 + y5 + y6"
hs <- "visual =~ x1 + x2 + x3\n textual =~ x4 + x5 + x6\n speed =~ x7 + x8 + x9"
# as in make_lavaan.R
case("article_ml", ri, "article.csv", "id", implied = TRUE); case("article_mlr", ri, "article.csv", "id", estimator = "MLR")
case("article_raw_ml", ri, "article_raw.csv", "id")
case("demo_cfa_ml", cfa2, "demo.csv", "cluster", implied = TRUE); case("demo_cfa_mlr", cfa2, "demo.csv", "cluster", estimator = "MLR")
first <- fromJSON(file.path(out, "lavaan.json"))$cases$demo_two_factor_mlr$coef
case("demo_two_factor_mlr", two, "demo.csv", "cluster", estimator = "MLR", from = first, note = "from the estimates of lavaan.json: one of two maxima")
case("demo_two_factor_other_maximum_mlr", two, "demo.csv", "cluster", estimator = "MLR", note = "one factor for what are two: from its own starting values lavaan 0.6 finds another maximum than lavaan 0.7")
case("demo_cross_level_invariance_mlr", "level: 1\n f =~ a*y1 + b*y2 + c*y3\nlevel: 2\n f =~ a*y1 + b*y2 + c*y3\n y1 ~~ 0*y1", "demo.csv", "cluster", estimator = "MLR")
case("mediation_111_mlr", "level: 1\n m ~ a1*x\n y ~ b1*m + c1*x\nlevel: 2\n m ~ a2*x + w\n y ~ b2*m + c2*x\n ind_w := a1*b1\n ind_b := a2*b2\n diff := ind_w - ind_b", "mediation.csv", "id", estimator = "MLR", fixed.x = FALSE, implied = TRUE)
case("mediation_211_mlr", "level: 1\n y ~ m\nlevel: 2\n m ~ a*w\n y ~ b*m + cp*w\n z ~ d*y\n ind := a*b\n ind2 := a*b*d", "mediation.csv", "id", estimator = "MLR", fixed.x = FALSE)
case("constraints_mlr", "level: 1\n fw =~ y1 + l2*y2 + l3*y3\n fw ~ p1*x1 + p2*x2 + x3\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1 + w2\n l2 == l3\n p1 == 2*p2", "demo.csv", "cluster", estimator = "MLR")
case("inequality_ml", "level: 1\n y ~ b1*x1 + b2*int\nlevel: 2\n y ~ w1\n b1 < 0.5", "article.csv", "id", polish = FALSE, note = "active bound: compare estimates only")
case("saturated_mlr", "level: 1\n y1 ~~ y2 + y3\n y2 ~~ y3\nlevel: 2\n y1 ~~ y2 + y3\n y2 ~~ y3", "demo.csv", "cluster", estimator = "MLR")
case("demo_missing_listwise_mlr", cfa2, "demo_missing.csv", "cluster", estimator = "MLR")
case("hs_single_level_ml", hs, "hs1939.csv", implied = TRUE); case("hs_single_level_cluster_mlr", hs, "hs1939.csv", "cl")
case("hs_single_level_meanstructure_mlr", hs, "hs1939.csv", estimator = "MLR", meanstructure = TRUE)
# others
case("second_order_within_mlr", "level: 1\n f1 =~ y1 + y2 + y3\n f2 =~ y4 + y5 + y6\n g =~ 1*f1 + 1*f2\n g ~ x1\nlevel: 2\n b1 =~ y1 + y2 + y3\n b2 =~ y4 + y5 + y6", "demo.csv", "cluster", estimator = "MLR")
case("second_order_single_ml", paste(hs, "\n g =~ visual + textual + speed"), "hs1939.csv")
case("mediation_221_mlr", "level: 1\n y ~~ y\nlevel: 2\n z ~ a*w\n y ~ b*z + cp*w\n ind := a*b\n total := ind + cp", "mediation.csv", "id", estimator = "MLR")
case("level2_outcome_latent_predictor_mlr", "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n w2 ~ fb + w1", "demo.csv", "cluster", estimator = "MLR", implied = TRUE)
case("std_lv_mlr", four, "demo.csv", "cluster", estimator = "MLR", std.lv = TRUE)
case("orthogonal_ml", four, "demo.csv", "cluster", orthogonal = TRUE)
case("crossed_residuals_mlr", "level: 1\n f1 =~ y1 + y2 + y3\n f2 =~ y4 + y5 + y6 + y3\n y1 ~~ y4\n f2 ~ f1 + x1\nlevel: 2\n b1 =~ y1 + y2 + y3\n b2 =~ y4 + y5 + y6\n y1 ~~ y4\n b1 ~ w1\n b2 ~ b1 + w2", "demo.csv", "cluster", estimator = "MLR")
case("labels_across_levels_mlr", "level: 1\n f =~ y1 + a*y2 + b*y3\n f ~~ v*f\n y2 ~~ e*y2\n y3 ~~ e*y3\nlevel: 2\n f =~ y1 + a*y2 + b*y3\n f ~~ v*f\n ratio := a/b", "demo.csv", "cluster", estimator = "MLR")
case("nonlinear_constraint_ml", "level: 1\n fw =~ y1 + b*y2 + a*y3\nlevel: 2\n fb =~ y1 + y2 + y3\n a == b^2", "demo.csv", "cluster", polish = FALSE, note = "lavaan's standard errors leave out the curvature of the constraint")
case("within_only_endogenous_mlr", "level: 1\n x1 ~ x2 + x3\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1", "demo.csv", "cluster", estimator = "MLR")
case("within_only_endogenous_raw_ml", "level: 1\n m ~ x\n y ~ m + x\nlevel: 2\n y ~ w", "mediation.csv", "id")
case("modelled_covariates_ml", ri, "article_raw.csv", "id", fixed.x = FALSE)
case("expected_information_ml", ri, "article.csv", "id", information = "expected")
case("defined_functions_mlr", "level: 1\n y ~~ vw*y\n m ~~ y\nlevel: 2\n y ~~ vb*y\n m ~~ y\n icc := vb/(vb + vw)\n sdb := sqrt(vb)\n lr := log(vb/vw)\n e := exp(-vw)^2", "mediation.csv", "id", estimator = "MLR")
case("saturated_small_ml", "level: 1\n y1 ~~ y2 + y3\n y2 ~~ y3\nlevel: 2\n y1 ~~ y2 + y3\n y2 ~~ y3", "small.csv", "id")
case("small_cfa_mlr", "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w\n v ~ fb + w\n y4 ~~ y4", "small.csv", "id", estimator = "MLR")
case("positive_variances_ml", "level: 1\n y1 ~~ y4\nlevel: 2\n y1 ~ w\n y4 ~ w\n y1 ~~ 0*y4", "small.csv", "id", bounds = "pos.var", polish = FALSE, note = "active bound: compare estimates only")
case("growth_two_level_ml", "level: 1\n i =~ 1*t1 + 1*t2 + 1*t3 + 1*t4\n s =~ 0*t1 + 1*t2 + 2*t3 + 3*t4\n i ~ 0*1\n s ~ 0*1\nlevel: 2\n ib =~ 1*t1 + 1*t2 + 1*t3 + 1*t4\n sb =~ 0*t1 + 1*t2 + 2*t3 + 3*t4", "growth.csv", "id", fun = "growth")
case("growth_single_cluster_mlr", "i =~ 1*t1 + 1*t2 + 1*t3 + 1*t4\n s =~ 0*t1 + 1*t2 + 2*t3 + 3*t4", "growth.csv", "id", fun = "growth")
case("cfa_covariate_single_ml", "visual =~ x1 + x2 + x3\n visual ~ x4 + x5", "hs1939.csv", fun = "cfa", implied = TRUE)
case("path_single_ml", "x1 ~ x4 + x5\n x7 ~ a*x1 + x4\n x9 ~ b*x7 + x1\n ind := a*b", "hs1939.csv")
case("path_single_meanstructure_mlr", "x1 ~ x4 + x5\n x7 ~ a*x1 + x4\n x9 ~ b*x7 + x1\n ind := a*b", "hs1939.csv", meanstructure = TRUE, estimator = "MLR")
case("path_single_cluster_mlr", "y1 ~ x1 + w1\n y2 ~ y1 + x2", "demo.csv", "cluster")
case("nonrecursive_single_ml", "x1 ~ x2 + x4\n x2 ~ x1 + x5", "hs1939.csv")
case("explicit_lavaan_ml", "level: 1\n f =~ 1*y1 + y2 + y3\n f ~~ f\n y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3\nlevel: 2\n y1 ~~ y1 + y2\n y2 ~~ y2\n y3 ~~ y3\n y1 ~ 1\n y2 ~ 1\n y3 ~ 1", "demo.csv", "cluster", fun = "lavaan")
json <- toJSON(list(lavaan = as.character(packageVersion("lavaan")), R = R.version.string, cases = cases), digits = I(15), auto_unbox = TRUE, na = "null", null = "null", dataframe = "columns")
writeLines(gsub('},"', '},\n"', json, fixed = TRUE), file.path(out, "lavaan_tight.json"))
