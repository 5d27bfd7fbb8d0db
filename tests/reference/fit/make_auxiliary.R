# Auxiliary variables as saturated correlates, single level: semTools' sem.auxiliary (0.5-6) with lavaan 0.6-14.
# Usage: Rscript make_auxiliary.R DATADIR OUTDIR
source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE))), "common.R"))
suppressMessages(library(semTools))
d <- rd("hs1939.csv"); row <- seq_len(nrow(d))
d$x5[d$x7 < 3.7] <- NA; d$x2[row %% 4 == 1] <- NA; d$x6[d$x9 > 6.2] <- NA; d$x7[row %% 9 == 4] <- NA
rule <- "x5 NA where x7 < 3.7, x2 NA in rows with number mod 4 = 1, x6 NA where x9 > 6.2, then x7 NA in rows with number mod 9 = 4"
cases <- list()
run <- function(name, model, ...) {
  f <- sem.auxiliary(model, data = d, aux = c("x7", "x9"), missing = "fiml", ...)
  r <- basics(f); r$model <- model; r$data <- "hs1939.csv"; r$extra_missing <- rule; r$auxiliary <- c("x7", "x9"); r$options <- list(...); r$saturated <- as.numeric(fitMeasures(f, "unrestricted.logl"))
  cat(name, format(r$logl, digits = 12), r$df, r$fit$baseline.chisq, r$fit$baseline.df, "\n")
  cases[[name]] <<- r
}
two <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
run("factors_ml", two)
run("factors_mlr", two, estimator = "mlr")
run("covariate_ml", paste0(two, "\nvisual ~ x8\ntextual ~ visual"))
save_json(list(semTools = as.character(packageVersion("semTools")), cases = cases), "auxiliary.json")
