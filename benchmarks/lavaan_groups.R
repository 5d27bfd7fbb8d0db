# Processor seconds of sem() with MLR of several groups.
# Rscript lavaan_groups.R MODEL.lav DATA.csv REPEATS      groups and clusters in columns group and cluster
# One line: version, log-likelihood, then the seconds (user + system) of each call.
args <- commandArgs(TRUE)
suppressMessages(library(lavaan))
model <- paste(readLines(args[1]), collapse = "\n")
data <- read.csv(args[2])
fit <- NULL
one <- function(k) {
  sum(system.time(suppressWarnings(
    fit <<- sem(model, data = data, group = "group", cluster = "cluster", estimator = "MLR")
  ))[1:2])
}
times <- vapply(seq_len(as.integer(args[3])), one, 0)
cat(c(as.character(packageVersion("lavaan")), format(as.numeric(logLik(fit)), digits = 15),
      sprintf("%.4f", times)), sep = "\t")
cat("\n")
