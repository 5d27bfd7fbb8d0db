# Runs the scripts of tests/porting/scripts one by one, and writes the
# numbers of what they make to scripts.json. From the root of the repository:
#   Rscript tests/reference/porting/make_port.R
suppressMessages({library(lavaan); library(lme4); library(nlme); library(clubSandwich); library(jsonlite)})
local({ # scripts have the global environment to themselves
root <- normalizePath(".")
where <- file.path(root, "tests", "porting", "scripts")

named <- function(x) { x <- unclass(x); attributes(x) <- list(names = names(x)); as.list(x) }
MEASURES <- c("chisq", "df", "pvalue", "chisq.scaled", "df.scaled", "pvalue.scaled", "cfi", "tli",
              "rmsea", "srmr", "cfi.robust", "rmsea.robust", "npar", "logl", "aic", "bic")

numbers <- function(x) {
  if (inherits(x, "lavaan")) {
    out <- list(kind = "sem", params = named(coef(x)), loglik = as.numeric(logLik(x)))
    if (lavInspect(x, "options")$se != "none") out$se <- named(sqrt(diag(vcov(x))))
    if (!"none" %in% lavInspect(x, "options")$test) {
      fm <- fitMeasures(x)
      out$measures <- named(fm[intersect(MEASURES, names(fm))])
    }
    return(out)
  }
  if (inherits(x, "merMod")) {
    v <- as.data.frame(VarCorr(x))
    v <- v[is.na(v$var2), ]
    keys <- ifelse(v$grp == "Residual", "Residual", paste0(sub("[.][0-9]+$", "", v$grp), ".", v$var1))
    return(list(kind = "lmm", params = c(named(fixef(x)), setNames(as.list(v$vcov), keys)),
                se = named(setNames(sqrt(diag(as.matrix(vcov(x)))), names(fixef(x)))),
                loglik = as.numeric(logLik(x)), singular = isSingular(x)))
  }
  if (inherits(x, "lme"))
    return(list(kind = "lmm", params = named(fixef(x)), loglik = as.numeric(logLik(x)),
                se = named(setNames(sqrt(diag(x$varFix)), names(fixef(x))))))
  if (inherits(x, "emmGrid")) {
    x <- as.data.frame(summary(x))
    return(list(kind = "means", est = as.numeric(x[[grep("emmean|estimate|trend", names(x))[1]]]),
                se = x$SE, df = x$df))
  }
  if (inherits(x, "vcovCR"))
    return(list(kind = "robust", se = named(setNames(sqrt(diag(as.matrix(x))), rownames(x)))))
  if (inherits(x, "coef_test_clubSandwich"))
    return(list(kind = "coef_test", est = named(setNames(x$beta, rownames(x))),
                se = named(setNames(x$SE, rownames(x))),
                p = named(setNames(if ("p_Satt" %in% names(x)) x$p_Satt else x$p_z, rownames(x)))))
  if (inherits(x, "conf_int_clubSandwich"))
    return(list(kind = "intervals", lower = named(setNames(x$CI_L, rownames(x))),
                upper = named(setNames(x$CI_U, rownames(x)))))
  if (inherits(x, "Wald_test_clubSandwich"))
    return(list(kind = "test", statistic = x$Fstat, df_denom = x$df_denom, pvalue = x$p_val))
  if (inherits(x, "anova")) {
    p <- x[nrow(x), grep("Pr\\(>Chisq\\)", names(x))]
    s <- x[nrow(x), if ("Chisq diff" %in% names(x)) "Chisq diff" else "Chisq"]
    df <- x[nrow(x), if ("Df diff" %in% names(x)) "Df diff" else "Df"]
    return(list(kind = "test", statistic = s, df = df, pvalue = p))
  }
  if (is.list(x) && all(c("stat", "df", "p.value") %in% names(x)))
    return(list(kind = "test", statistic = x$stat, df = x$df, pvalue = x$p.value))
  if (is.list(x) && "test" %in% names(x) && "X2" %in% names(x$test))
    return(list(kind = "test", statistic = x$test$X2, df = x$test$df, pvalue = x$test$p.value))
  if (is.data.frame(x) && "lhs" %in% names(x)) {
    key <- paste0(x$lhs, x$op, x$rhs, if (!is.null(x$level)) paste0(" level ", x$level),
                  if (!is.null(x$group)) paste0(" group ", x$group))
    if (any(duplicated(key))) key <- make.unique(key)
    columns <- intersect(c("est", "est.std", "se", "z", "pvalue", "ci.lower", "ci.upper", "std.all",
                           "mi", "epc"), names(x))
    return(list(kind = "estimates", keys = key,
                columns = setNames(lapply(columns, function(k) as.numeric(x[[k]])), columns)))
  }
  if (is.data.frame(x)) {
    x <- as.data.frame(x)
    held <- names(x)[sapply(x, is.numeric)]
    return(list(kind = "frame", rows = nrow(x), names = names(x),
                means = named(colMeans(x[held], na.rm = TRUE)),
                missing = named(colSums(is.na(x)))))
  }
  if (is.matrix(x) && "Std. Error" %in% colnames(x))
    return(list(kind = "coef_test", est = named(x[, "Estimate"]), se = named(x[, "Std. Error"]),
                p = named(x[, "Pr(>|t|)"])))
  if (inherits(x, "lavaan.matrix") || is.matrix(x))
    return(list(kind = "matrix", values = unclass(matrix(as.numeric(x), nrow(x)))[seq_len(min(nrow(x), 20)), , drop = FALSE]))
  if (is.numeric(x) && length(x) <= 60)
    return(c(list(kind = "numbers", values = as.numeric(x)),
             if (!is.null(names(x)) && length(x) > 1) list(names = names(x))))
  if (is.logical(x) && length(x) == 1) return(list(kind = "numbers", values = as.numeric(x)))
  if (is.character(x)) return(list(kind = "texts", values = gsub("\r", "", as.character(x))))
  NULL
}

results <- list()
for (file in sort(list.files(where, pattern = "\\.R$"))) {
  folder <- tempfile("script"); dir.create(folder)
  file.copy(list.files(file.path(root, "tests/reference/data"), "csv$", full.names = TRUE), folder)
  setwd(folder)
  env <- globalenv()
  rm(list = ls(env), envir = env)
  lines <- gsub("\r", "", readLines(file.path(where, file), encoding = "UTF-8", warn = FALSE))
  pdf(NULL)
  invisible(capture.output(suppressWarnings(suppressMessages(
    for (each in parse(text = lines, encoding = "UTF-8")) eval(each, env)))))
  found <- list()
  for (name in sort(ls(env))) found[[name]] <- numbers(get(name, env))
  results[[file]] <- found
  setwd(root)
}
write_json(list(versions = list(R = as.character(getRversion()),
                                lavaan = as.character(packageVersion("lavaan")),
                                lme4 = as.character(packageVersion("lme4")),
                                clubSandwich = as.character(packageVersion("clubSandwich"))),
                scripts = results),
           file.path(root, "tests/reference/porting/scripts.json"), digits = 8, auto_unbox = TRUE, na = "null")
})
