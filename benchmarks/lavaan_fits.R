# Fits every model of a directory in one process.  Rscript lavaan_fits.R DIRECTORY [FIRST LAST]
# DIRECTORY holds NUMBER.lav and NUMBER.csv (clusters in column id) and options.csv (number, fixed_x
# and, if other than lavaan's defaults, clustered, std_lv, bounds, meanstructure, missing).
# At most 500 iterations, as in mlsem.  One line per model: number, status, log-likelihood, iterations, seconds, then name=estimate …
args <- commandArgs(TRUE)
suppressMessages(library(lavaan))
options <- read.csv(file.path(args[1], "options.csv"))
if (length(args) > 2) {
  options <- options[options$number >= as.integer(args[2]) & options$number <= as.integer(args[3]), ]
}
defaults <- list(clustered = 1, std_lv = 0, bounds = "none", meanstructure = 0, missing = "listwise")
report <- function(...) {
  cat(..., sep = "\t")
  cat("\n")
  flush(stdout())
}
for (row in seq_len(nrow(options))) {
  chosen <- modifyList(defaults, as.list(options[row, ]))
  number <- chosen$number
  file <- file.path(args[1], number)
  model <- paste(readLines(paste0(file, ".lav")), collapse = "\n")
  data <- read.csv(paste0(file, ".csv"))
  fit <- NULL
  spent <- system.time(fit <- try(suppressWarnings(
    sem(model, data = data, cluster = if (chosen$clustered == 1) "id", se = "none", test = "none",
        fixed.x = chosen$fixed_x == 1, std.lv = chosen$std_lv == 1, bounds = chosen$bounds,
        missing = chosen$missing, meanstructure = if (chosen$meanstructure == 1) TRUE else "default",
        control = list(iter.max = 500, eval.max = 1000))
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
