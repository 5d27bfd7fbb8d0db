## make_lmm_df.R -- degrees of freedom of mixed models: lmerTest (Satterthwaite), pbkrtest (Kenward-Roger)
## run:  Rscript make_lmm_df.R OUTDIR    -> OUTDIR/lmm_df.json, OUTDIR/data/machines.csv; reads OUTDIR/data/*.csv
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
options(digits = 15)
OUT <- commandArgs(TRUE)[1]; DATA <- file.path(OUT, "data")
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5),
                   check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")

machines <- as.data.frame(nlme::Machines)
write.csv(data.frame(Worker = as.character(machines$Worker), Machine = as.character(machines$Machine), score = machines$score),
          file.path(DATA, "machines.csv"), row.names = FALSE, quote = FALSE)
read <- function(name) read.csv(file.path(DATA, paste0(name, ".csv")), stringsAsFactors = TRUE)

m <- function(data, f, REML = TRUE, take = NULL) list(data = data, formula = f, REML = REML, take = take)
M <- list(
 machines_ri       = m("machines", "score ~ Machine + (1 | Worker)"),
 machines_rs       = m("machines", "score ~ Machine + (Machine | Worker)"),
 machines_rs_ml    = m("machines", "score ~ Machine + (Machine | Worker)", FALSE),
 machines_uneven   = m("machines", "score ~ Machine + (1 | Worker)", take = c(1, 2, 5, 9, 14, 20, 22, 30, 33, 41, 47, 50)),
 machines_uneven_ml = m("machines", "score ~ Machine + (1 | Worker)", FALSE, take = c(1, 2, 5, 9, 14, 20, 22, 30, 33, 41, 47, 50)),
 sleep_ri          = m("sleepstudy", "Reaction ~ Days + (1 | Subject)"),
 sleep_rs          = m("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
 sleep_rs_ml       = m("sleepstudy", "Reaction ~ Days + (Days | Subject)", FALSE),
 sleep_rs_apart    = m("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
 sleep_quadratic   = m("sleepstudy", "Reaction ~ Days + I(Days^2) + (Days | Subject)", take = seq(3, 180, 7)),
 sleep_slope_only  = m("sleepstudy", "Reaction ~ Days + (0 + Days | Subject)"),
 sleep_singular    = m("sleepstudy", "Reaction ~ 0 + Days + (0 + Days | Subject)"),
 hs_ri             = m("hs1939", "x1 ~ school + x4 + x7 + (1 | cl)"),
 hs_ri_ml          = m("hs1939", "x1 ~ school + x4 + x7 + (1 | cl)", FALSE),
 article_ri        = m("article_50x10_rep1", "y ~ w1 * x1 + (1 | id)"),
 article_rs        = m("article_50x10_rep1", "y ~ w1 * x1 + (x1 | id)"),
 small10_ri        = m("small10_unequal", "y ~ w1 * x1 + (1 | id)"),
 small10_ri_ml     = m("small10_unequal", "y ~ w1 * x1 + (1 | id)", FALSE),
 small10_rs        = m("small10_unequal", "y ~ w1 * x1 + (x1 | id)"),
 small10_rs_apart_ml = m("small10_unequal", "y ~ w1 * x1 + (x1 || id)", FALSE),
 few_treated_rs    = m("few_treated", "y ~ w1 * x1 + (x1 | id)"),
 one_treated_ri    = m("one_treated", "y ~ w1 * x1 + (1 | id)"),
 singletons_ri     = m("singletons", "y ~ w1 * x1 + (1 | id)"))

plain <- function(v) { a <- as.matrix(v); matrix(as.numeric(a), nrow(a)) }
one <- function(s) {
  d <- read(s$data); if (!is.null(s$take)) d <- d[-s$take, ]
  fit <- lmer(as.formula(s$formula), data = d, REML = s$REML, control = ctl)
  p <- length(fixef(fit)); co <- coef(summary(fit, ddf = "Satterthwaite"))
  L <- list(first = diag(p)[1, , drop = FALSE])
  L$mixed <- matrix(cos(1:p), 1)
  if (p > 1) L$slopes <- diag(p)[-1, , drop = FALSE]
  if (p > 2) L$oblique <- rbind(sin(1:p), c(1, -1, rep(0, p - 2)))
  vc <- as.data.frame(VarCorr(fit))
  out <- list(data_file = paste0("data/", s$data, ".csv"), formula = s$formula, REML = s$REML, take = s$take,
    coef_names = names(fixef(fit)), fixef = unname(fixef(fit)), se = unname(co[, "Std. Error"]), df = unname(co[, "df"]), p = unname(co[, "Pr(>|t|)"]),
    logLik = as.numeric(logLik(fit)), sigma2 = sigma(fit)^2, singular = isSingular(fit),
    satterthwaite = lapply(L, function(l) { r <- contest(fit, l, joint = TRUE, ddf = "Satterthwaite"); list(L = l, F = r[["F value"]], ndf = r$NumDF, ddf = r$DenDF, p = r[["Pr(>F)"]]) }))
  if (s$REML) {
    Va <- vcovAdj(fit)
    out$kenward_roger <- list(vcov = plain(Va), df = sapply(seq_len(p), function(k) get_Lb_ddf(fit, diag(p)[k, ])),
      tests = lapply(L, function(l) { r <- getKR(KRmodcomp(fit, l)); k <- KRmodcomp(fit, l)
        list(L = l, F = r$Fstat, F_unscaled = r$FstatU, scaling = r$F.scaling, ndf = r$ndf, ddf = r$ddf, p = r$p.value) }))
  }
  out
}
res <- list()
for (nm in names(M)) { t0 <- proc.time()[3]; res[[nm]] <- one(M[[nm]]); cat(sprintf("%-18s singular %s %.1fs  %s\n", nm, res[[nm]]$singular, proc.time()[3] - t0, paste(round(res[[nm]]$df, 3), collapse = " "))) }
meta <- list(created_by = "make_lmm_df.R", R = R.version.string, lme4 = as.character(packageVersion("lme4")),
             lmerTest = as.character(packageVersion("lmerTest")), pbkrtest = as.character(packageVersion("pbkrtest")))
writeLines(toJSON(list(meta = meta, models = res), digits = NA, auto_unbox = TRUE, null = "null", na = "null", pretty = 1), file.path(OUT, "lmm_df.json"))
