# Fits every model of a directory in one process.  Rscript lavaan_fits.R DIRECTORY [FIRST LAST]
# DIRECTORY holds NUMBER.lav and NUMBER.csv (clusters in column id) and fixed_x.csv (number, fixed).
# At most 500 iterations, as in mlsem.  One line per model: number, status, log-likelihood, iterations, seconds, then name=estimate …
args <- commandArgs(TRUE)
suppressMessages(library(lavaan))
fixed <- read.csv(file.path(args[1], "fixed_x.csv"))
if (length(args) > 2) {
  fixed <- fixed[fixed$number >= as.integer(args[2]) & fixed$number <= as.integer(args[3]), ]
}
report <- function(...) {
  cat(..., sep = "\t")
  cat("\n")
  flush(stdout())
}
for (row in seq_len(nrow(fixed))) {
  number <- fixed$number[row]
  file <- file.path(args[1], number)
  model <- paste(readLines(paste0(file, ".lav")), collapse = "\n")
  data <- read.csv(paste0(file, ".csv"))
  fit <- NULL
  spent <- system.time(fit <- try(suppressWarnings(
    sem(model, data = data, cluster = "id", fixed.x = fixed$fixed[row] == 1, se = "none",
        test = "none", control = list(iter.max = 500, eval.max = 1000))
  ), silent = TRUE))
  spent <- spent[[1]] + spent[[2]]
  if (inherits(fit, "try-error")) {
    why <- gsub("[\t\n]+", " ", conditionMessage(attr(fit, "condition")))
    report(number, "error", "NA", "NA", sprintf("%.3f", spent), substr(why, 1, 200))
    next
  }
  coefs <- coef(fit)
  loglik <- try(fit@loglik$loglik, silent = TRUE)
  if (inherits(loglik, "try-error") || !length(loglik)) loglik <- NA
  report(number, if (lavInspect(fit, "converged")) "converged" else "not converged",
         format(as.numeric(loglik), digits = 15), lavInspect(fit, "iterations"), sprintf("%.3f", spent),
         paste0(names(coefs), "=", format(as.numeric(coefs), digits = 12, trim = TRUE), collapse = ";"))
}
