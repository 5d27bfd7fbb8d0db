# Cluster-robust covariances of mixed and of plain linear models by clubSandwich, beside those of make_lmm.R.
#   Rscript make_clubsandwich.R OUTDIR     -> OUTDIR/clubsandwich.json, OUTDIR/data/cr_*.csv
# Layout as in lmm.json; also `fun` (lmer or lm), `group` (of the random intercept; `cluster` is that of the sandwich),
# `wald` (every hypothesis with its contrasts C), `textbook` (see there). All models are ML, those of lm too: sigma2 = RSS/n.
suppressPackageStartupMessages({library(lme4); library(clubSandwich); library(jsonlite)})
out <- commandArgs(TRUE)[1]; dir.create(file.path(out, "data"), showWarnings = FALSE, recursive = TRUE)
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5),
                       check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
save_data <- function(d, name) {  # what is fitted is what was written
  file <- file.path(out, "data", paste0(name, ".csv"))
  d[] <- lapply(d, function(v) if (is.integer(v)) v else sprintf("%.17g", v))
  write.csv(d, file, row.names = FALSE, quote = FALSE); read.csv(file)
}
D <- list()

# --- data: pupils in clusters ---
set.seed(41)  # sizes 1 to 100; z has mean 1000
n <- c(1, 100, 1, 2, 60, 2, 3, 40, 4, 5, 30, 6, 8, 10, 24, 3, 12, 15, 20, 1); J <- length(n); id <- rep(seq_len(J), n); N <- length(id)
w <- rnorm(J); x <- rnorm(N) + rnorm(J, 0, .5)[id]; z <- 1000 + rnorm(J)[id] + rnorm(N)
y <- 1 + .4 * x + .3 * w[id] + .2 * (z - 1000) + rnorm(J, 0, .8)[id] + rnorm(J, 0, .4)[id] * x + rnorm(N)
D$cr_unequal <- data.frame(id, x, z, w = w[id], y)
set.seed(42)  # 6 clusters
n <- c(4, 6, 9, 12, 15, 22); J <- length(n); id <- rep(seq_len(J), n); N <- length(id)
w <- rnorm(J); x <- rnorm(N) + rnorm(J)[id]; y <- .5 * x + .3 * w[id] + rnorm(J)[id] + rnorm(N)
D$cr_six <- data.frame(id, row = seq_len(N), x, w = w[id], y)
set.seed(43)  # level-2 covariates; 2 of 24 clusters treated
n <- sample(2:9, 24, TRUE); J <- length(n); id <- rep(seq_len(J), n); N <- length(id)
w1 <- rnorm(J); w2 <- .5 * w1 + rnorm(J); treated <- as.integer(seq_len(J) %in% c(4, 17)); x <- rnorm(N)
y <- .3 * w1[id] - .2 * w2[id] + .5 * treated[id] + .4 * x + rnorm(J, 0, .7)[id] + rnorm(N)
D$cr_level2 <- data.frame(id, x, w1 = w1[id], w2 = w2[id], treated = treated[id], y)
set.seed(44)  # many covariates, x1 also split into x1c (within) and x1m (cluster means)
n <- sample(3:14, 22, TRUE); J <- length(n); id <- rep(seq_len(J), n); N <- length(id)
x1 <- rnorm(N) + rnorm(J)[id]; x2 <- .4 * x1 + rnorm(N); x3 <- rbinom(N, 1, .3); x4 <- rexp(N); w1 <- rnorm(J)[id]; w2 <- rbinom(J, 1, .5)[id]
x1m <- ave(x1, id); x1w1 <- x1 * w1
y <- .3 * (x1 - x1m) + .6 * x1m - .2 * x2 + .5 * x3 + .1 * x4 + .3 * w1 + .2 * x1w1 + rnorm(J, 0, .6)[id] + rnorm(J, 0, .3)[id] * x1 + rnorm(N) * exp(.2 * x2)
D$cr_many <- data.frame(id, x1, x1c = x1 - x1m, x1m, x2, x3, x4, w1, w2, x1w1, y)
set.seed(45)  # 18 of 30 clusters have one row
n <- c(rep(1, 18), 2, 2, 2, 3, 3, 4, 5, 6, 7, 9, 11, 16); n <- sample(n); J <- length(n); id <- rep(seq_len(J), n); N <- length(id)
w <- rnorm(J); x <- rnorm(N); y <- .5 * x + .3 * w[id] + rnorm(J)[id] + rnorm(N)
D$cr_singletons <- data.frame(id, x, w = w[id], y)

# --- data: pupils in classes in schools; x describes pupils, v classes, w schools ---
classes <- function(seed, per_school, sizes, shuffle = FALSE) {
  set.seed(seed); S <- length(per_school); K <- sum(per_school); in_school <- rep(seq_len(S), per_school)
  class <- rep(seq_len(K), sizes(K)); school <- in_school[class]; N <- length(class)
  v <- rnorm(K) + rnorm(S, 0, .5)[in_school]; w <- rnorm(S); x <- rnorm(N) + rnorm(K, 0, .4)[class]
  y <- 1 + .4 * x + .3 * v[class] + .3 * w[school] + rnorm(S, 0, .5)[school] + rnorm(K, 0, .6)[class] + rnorm(S, 0, .3)[school] * x + rnorm(N)
  d <- data.frame(school, class, x, v = v[class], w = w[school], y)
  if (shuffle) d[sample(N), ] else d
}
D$cr_classes_equal <- classes(46, rep(3, 12), function(K) rep(6, K))
D$cr_classes_unequal <- classes(47, c(1, 1, 2, 2, 3, 3, 4, 5, 1, 2, 6, 3, 2, 1, 4), function(K) sample(1:14, K, TRUE), shuffle = TRUE)
D$cr_classes_few <- classes(48, c(2, 3, 1, 4, 2, 5, 3, 2), function(K) sample(c(1, 2, 3, 5, 8, 13), K, TRUE))
D <- Map(save_data, D, names(D))

# --- CR0, CR2, CR3 by their textbook formulas, from dense matrices ---
textbook <- function(X, e, Phi, cluster) {
  rows <- split(seq_along(e), cluster); W <- solve(Phi)
  M <- solve(t(X) %*% W %*% X)
  u <- function(adjust) sapply(rows, function(i) {
    Xi <- X[i, , drop = FALSE]; Pi <- Phi[i, i, drop = FALSE]
    t(Xi) %*% solve(Pi, adjust(Xi, Pi) %*% e[i])
  })
  root <- function(S) { s <- eigen(S, symmetric = TRUE); keep <- s$values > 1e-12 * max(s$values)
    s$vectors[, keep, drop = FALSE] %*% (t(s$vectors[, keep, drop = FALSE]) / sqrt(s$values[keep])) }
  V <- function(adjust) { s <- u(adjust); M %*% (s %*% t(s)) %*% M }
  list(CR0 = V(function(Xi, Pi) diag(nrow(Xi))),
       CR2 = V(function(Xi, Pi) { D <- chol(Pi); t(D) %*% root(D %*% (Pi - Xi %*% M %*% t(Xi)) %*% t(D)) %*% D }),
       CR3 = V(function(Xi, Pi) solve(diag(nrow(Xi)) - Xi %*% M %*% t(Xi) %*% solve(Pi))))
}

# --- cases ---
plain <- function(v) { a <- as.matrix(v); matrix(as.numeric(a), nrow(a)) }
contrasts <- function(p) {
  C <- diag(p)
  list(all_slopes = C[-1, , drop = FALSE], single = C[2, , drop = FALSE] - C[3, , drop = FALSE],
       pair = rbind(C[2, ] - C[3, ], if (p > 3) C[4, ] else C[1, ] - 2 * C[3, ]))
}
res <- list()
case <- function(name, data, formula, cluster = "id", group = NULL, note = "") {
  d <- D[[data]]; lmm <- grepl("|", formula, fixed = TRUE); f <- as.formula(formula)
  fit <- if (lmm) lmer(f, data = d, REML = FALSE, control = control) else lm(f, data = d)
  b <- if (lmm) fixef(fit) else coef(fit); X <- model.matrix(fit); n <- nobs(fit); p <- length(b)
  e <- as.numeric(d$y - X %*% b)
  sigma2 <- if (lmm) sigma(fit)^2 else sum(e^2) / n
  Phi <- diag(n); if (lmm) Phi <- Phi + as.matrix(crossprod(getME(fit, "A")))  # A' A = Z Λ Λ' Z'
  model <- if (lmm) vcov(fit) else sigma2 * solve(crossprod(X))
  varcomp <- if (lmm) as.data.frame(VarCorr(fit)) else data.frame(grp = "Residual", var1 = NA, vcov = sigma2)
  V <- list(); tests <- list(); wald <- lapply(contrasts(p), function(C) list(C = C))
  for (type in c("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")) {
    r <- vcovCR(fit, cluster = d[[cluster]], type = type)
    V[[type]] <- plain(r)
    if (!type %in% c("CR0", "CR2", "CR3")) next
    t <- coef_test(fit, vcov = r, test = c("Satterthwaite", "naive-t", "z"))
    tests[[type]] <- list(SE = t$SE, tstat = t$tstat, df_Satt = t$df_Satt, p_Satt = t$p_Satt, p_naive_t = t$p_t, p_z = t$p_z)
    for (h in names(wald)) for (test in c("HTZ", if (type == "CR2") c("chi-sq", "Naive-F"))) {
      t <- suppressWarnings(Wald_test(fit, constraints = wald[[h]]$C, vcov = r, test = test))
      wald[[h]][[type]][[test]] <- list(F = t$Fstat, delta = t$delta, df_num = t$df_num, df_denom = t$df_denom, p = t$p_val)
    }
  }
  tests$Wald_HTZ_all_slopes <- wald$all_slopes$CR2$HTZ
  dense <- textbook(X, e, Phi, d[[cluster]]); s <- sqrt(outer(diag(V$CR2), diag(V$CR2)))
  away <- max(sapply(names(dense), function(type) max(abs(dense[[type]] - V[[type]]) / s)))
  stopifnot(away < 1e-6)
  res[[name]] <<- list(fun = if (lmm) "lmer" else "lm", data_file = paste0("data/", data, ".csv"), formula = formula, group = if (lmm) varcomp$grp[1], cluster = cluster,
    REML = FALSE, note = note, n = n, J = length(unique(d[[cluster]])), p = p, coef_names = names(b), fixef = unname(b),
    se_model = unname(sqrt(diag(as.matrix(model)))), vcov_model = plain(model), logLik = as.numeric(logLik(fit)), sigma2 = sigma2,
    theta = if (lmm) unname(getME(fit, "theta")), varcomp = lapply(seq_len(nrow(varcomp)), function(i) list(grp = varcomp$grp[i], var1 = varcomp$var1[i], vcov = varcomp$vcov[i])),
    singular_fit = lmm && isSingular(fit), vcovCR = V, coef_test = tests, wald = wald, textbook = away)
  cat(sprintf("%-22s J=%-3d n=%-4d p=%d  textbook %.0e%s\n", name, res[[name]]$J, n, p, away, if (res[[name]]$singular_fit) "  SINGULAR" else ""))
}
case("unequal", "cr_unequal", "y ~ x + w + (1 | id)")
case("mean_1000", "cr_unequal", "y ~ x + z + w + (1 | id)", note = "z has mean 1000")
case("six_clusters", "cr_six", "y ~ x + w + (1 | id)")
case("level2_only", "cr_level2", "y ~ w1 + w2 + (1 | id)")
case("two_treated", "cr_level2", "y ~ treated + x + w1 + (1 | id)", note = "2 of 24 clusters are treated")
case("eight_effects", "cr_many", "y ~ x1 + x2 + x3 + x4 + w1 + w2 + x1w1 + (1 | id)")
case("group_mean_centred", "cr_many", "y ~ x1c + x1m + x3 + (1 | id)", note = "x1c has cluster means 0")
case("many_singletons", "cr_singletons", "y ~ x + w + (1 | id)")
coarser <- "random intercept of classes, clusters are schools: Phi of a school is block diagonal"
case("classes_equal", "cr_classes_equal", "y ~ x + v + w + (1 | class)", "school", note = coarser)
case("classes_unequal", "cr_classes_unequal", "y ~ x + v + w + (1 | class)", "school", note = paste0(coarser, "; rows shuffled"))
case("classes_few_schools", "cr_classes_few", "y ~ x + v + w + (1 | class)", "school", note = coarser)
case("classes_themselves", "cr_classes_few", "y ~ x + v + w + (1 | class)", "class", note = "the same fit, clusters are classes")
case("lm_unequal", "cr_unequal", "y ~ x + w")
case("lm_six", "cr_six", "y ~ x + w")
case("lm_rows", "cr_six", "y ~ x + w", "row", note = "HC0, HC1 = CR1S, HC2, HC3")

meta <- list(created_by = "make_clubsandwich.R", R = R.version.string, lme4 = as.character(packageVersion("lme4")), clubSandwich = as.character(packageVersion("clubSandwich")),
  convention = "as in lmm.json; lm: Phi = I. textbook: largest difference of CR0, CR2, CR3 from their formulas with dense matrices, over the product of two CR2 standard errors")
json <- function(v) toJSON(v, digits = NA, auto_unbox = TRUE, null = "null", na = "null")
lines <- sprintf("%s:%s", sapply(names(res), json), sapply(res, json))
writeLines(c(sprintf('{"meta":%s,"models":{', json(meta)), paste0(lines, c(rep(",", length(lines) - 1), "")), "}}"), file.path(out, "clubsandwich.json"))
