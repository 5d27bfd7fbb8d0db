# Processor seconds of sem() and parameterEstimates().
# Rscript lavaan_speed.R MODEL.lav DATA.csv CLUSTER REPEATS [MISSING]
# One line: version, log-likelihood, then the seconds (user + system) of each call.
args <- commandArgs(TRUE)
suppressMessages(library(lavaan))
model <- paste(readLines(args[1]), collapse = "\n")
data <- read.csv(args[2])
missing <- if (length(args) > 4) args[5] else "listwise"
fit <- NULL
one <- function() {
  spent <- system.time({
    fit <<- suppressWarnings(sem(model, data = data, cluster = args[3], estimator = "MLR",
                                missing = missing))
    parameterEstimates(fit)
  })
  spent[[1]] + spent[[2]]
}
times <- vapply(seq_len(as.integer(args[4])), function(k) one(), 0)
cat(c(as.character(packageVersion("lavaan")), format(as.numeric(logLik(fit)), digits = 15),
      sprintf("%.4f", times)), sep = "\t")
cat("\n")
