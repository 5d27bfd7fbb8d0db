## make_emmeans.R -- marginal means, slopes and contrasts of mixed models by emmeans; predictions with
## standard errors by Henderson's equations from lme4's matrices
## run:  Rscript make_emmeans.R OUTDIR    -> OUTDIR/emmeans.json; reads OUTDIR/data/*.csv
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(clubSandwich); library(jsonlite)})
options(digits = 15)
OUT <- commandArgs(TRUE)[1]; DATA <- file.path(OUT, "data")
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5),
                   check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
read <- function(name) read.csv(file.path(DATA, paste0(name, ".csv")), stringsAsFactors = TRUE, na.strings = c("NA", ""))
fits <- list(
  sleep = list(data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", take = c(2, 3, 4, 17, 30, 33, 41, 59, 60, 61, 62, 63, 150)),
  machines = list(data = "machines", formula = "score ~ Machine + (1 | Worker)"),
  machines_uneven = list(data = "machines", formula = "score ~ Machine + (Machine | Worker)", take = c(1, 2, 5, 9, 14, 20, 22, 30, 33, 41, 47, 50)),
  school = list(data = "hs1939", formula = "x1 ~ school * x4 + x7 + (1 | cl)"),
  two = list(data = "formulas", formula = "y ~ f * sex + x1 + (1 | id)"),
  two_slopes = list(data = "formulas", formula = "y ~ f * x1 + g + (1 | id)"),
  poly = list(data = "formulas", formula = "y ~ poly(x1, 2) + log(x2) + f + (1 | id)"),
  products = list(data = "formulas", formula = "y ~ f * x1 + I(x1^2) + factor(t) + sex + (1 | id)"),
  empty = list(data = "formulas", formula = "y ~ f * g + x1 + (1 | id)"))
questions <- list(
  list(fit = "machines", spec = "Machine"),
  list(fit = "machines_uneven", spec = "Machine"),
  list(fit = "school", spec = "school"),
  list(fit = "school", spec = "school", at = list(x4 = c(2, 3.5))),
  list(fit = "school", spec = "school", by = "x4", at = list(x4 = c(2, 3.5))),
  list(fit = "school", spec = "school", trend = "x4"),
  list(fit = "two", spec = "f"), list(fit = "two", spec = "f", by = "sex"), list(fit = "two", spec = c("f", "sex")),
  list(fit = "two", spec = "f", weights = "proportional"),
  list(fit = "two_slopes", spec = "f", trend = "x1"), list(fit = "two_slopes", spec = "f"),
  list(fit = "poly", spec = "f", at = list(x1 = 0.5, x2 = 2)), list(fit = "poly", spec = "x1", at = list(x1 = c(-1, 0, 1))),
  list(fit = "poly", spec = "x1", trend = "x2", at = list(x1 = 0.5)), list(fit = "poly", spec = "x1", trend = "x1", at = list(x1 = c(-1, 0.25))),
  list(fit = "products", spec = "t"), list(fit = "products", spec = "f", weights = "proportional"),
  list(fit = "empty", spec = "f"), list(fit = "empty", spec = c("f", "g")), list(fit = "empty", spec = "f", at = list(g = "p")))
plain <- function(e, infer = TRUE) { s <- as.data.frame(summary(e, infer = c(TRUE, TRUE)))
  n <- ncol(s); list(labels = lapply(s[, seq_len(n - 7), drop = FALSE], as.character), estimate = s[, n - 6], se = s$SE, df = s$df, lower = s$lower.CL, upper = s$upper.CL, t = s$t.ratio, p = s$p.value) }
made <- lapply(fits, function(s) { d <- read(s$data); if (!is.null(s$take)) d <- d[-s$take, ]
  d <- d[complete.cases(d[all.vars(as.formula(s$formula))]), ]  # emmeans averages over all rows of data=
  list(fit = lmer(as.formula(s$formula), data = d, REML = TRUE, control = ctl), data = d) })
answers <- lapply(questions, function(q) {
  m <- made[[q$fit]]; d <- m$data; out <- q
  for (how in c("satterthwaite", "kenward-roger", if (is.null(attr(getME(m$fit, "X"), "col.dropped"))) "CR2")) {
    opt <- if (how == "CR2") list(vcov. = as.matrix(vcovCR(m$fit, type = "CR2")), mode = "asymptotic") else list(mode = how)
    base <- c(list(m$fit, specs = q$spec, data = d), opt, list(lmer.df = if (how == "CR2") "asymptotic" else how))
    base$mode <- NULL
    if (!is.null(q$by)) base$by <- q$by
    if (!is.null(q$at)) base$at <- q$at
    if (!is.null(q$weights)) base$weights <- q$weights
    e <- if (is.null(q$trend)) do.call(emmeans, base) else do.call(emtrends, c(base, list(var = q$trend, delta.var = 1e-6)))
    r <- plain(e)
    if (how == "CR2") {  # clubSandwich's degrees of freedom of each of these combinations
      L <- e@linfct; co <- linear_contrast(m$fit, vcov = vcovCR(m$fit, type = "CR2"), contrasts = L)
      r$se <- co$SE; r$df <- co$df; r$lower <- co$CI_L; r$upper <- co$CI_U; r$t <- NULL; r$p <- NULL
    }
    out[[how]] <- r
    if (nrow(e@linfct) > 1 && how != "CR2" && is.null(q$at)) {
      by <- function(adj) plain(pairs(e, adjust = adj))
      out[[how]]$pairs <- list(none = by("none"), tukey = by("tukey"), sidak = by("sidak"))
    }
  }
  out
})
## --- predictions: Henderson's mixed model equations at lme4's estimates
henderson <- lapply(c("machines_uneven", "sleep"), function(name) {
  f <- made[[name]]$fit; X <- getME(f, "X"); Z <- as.matrix(getME(f, "Z")); s2 <- sigma(f)^2
  Lam <- as.matrix(getME(f, "Lambda")); G <- s2 * Lam %*% t(Lam)
  C <- solve(rbind(cbind(crossprod(X), crossprod(X, Z)) / s2, cbind(crossprod(Z, X) / s2, crossprod(Z) / s2 + solve(G))))
  W <- cbind(X, Z)
  list(fit = name, fixed = unname(predict(f, re.form = NA)), fitted = unname(fitted(f)), pearson = unname(residuals(f, "pearson")),
       se_fixed = sqrt(rowSums((X %*% as.matrix(vcov(f))) * X)), se = sqrt(rowSums((W %*% C) * W)))
})
tukey <- list(q = c(0.5, 2, 3.5, 5, 8), means = c(2, 3, 5, 12), df = c(2, 5.3, 20, 400, Inf))
tukey$upper <- unlist(lapply(tukey$q, function(q) lapply(tukey$means, function(k) lapply(tukey$df, function(v) ptukey(q, k, v, lower.tail = FALSE)))))
tukey$df <- c(2, 5.3, 20, 400, "Inf")
vc <- lapply(c(correlated = "Reaction ~ Days + (Days | Subject)", apart = "Reaction ~ Days + (Days || Subject)"),
  function(f) as.list(as.data.frame(VarCorr(lmer(as.formula(f), read("sleepstudy"), control = ctl)))))
meta <- list(created_by = "make_emmeans.R", R = R.version.string, emmeans = as.character(packageVersion("emmeans")), lme4 = as.character(packageVersion("lme4")),
             clubSandwich = as.character(packageVersion("clubSandwich")), pbkrtest = as.character(packageVersion("pbkrtest")))
writeLines(toJSON(list(meta = meta, fits = fits, questions = answers, predictions = henderson, tukey = tukey, VarCorr = vc), digits = NA, auto_unbox = TRUE, null = "null", na = "null", pretty = 1), file.path(OUT, "emmeans.json"))
