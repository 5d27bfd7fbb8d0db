# Processor seconds of sem() with MLR, and of fitMeasures().
# Rscript lavaan_fit_measures.R MODEL.lav DATA.csv CLUSTER REPEATS
# One line: version, scaled chi-square, then the seconds (user + system) of each call of sem() and
# of each call of fitMeasures().
args <- commandArgs(TRUE)
suppressMessages(library(lavaan))
model <- paste(readLines(args[1]), collapse = "\n")
data <- read.csv(args[2])
fit <- measures <- NULL
spent <- function(call) sum(system.time(suppressWarnings(call))[1:2])
one <- function() {
  c(spent(fit <<- sem(model, data = data, cluster = args[3], estimator = "MLR")),
    spent(measures <<- fitMeasures(fit)))
}
times <- vapply(seq_len(as.integer(args[4])), function(k) one(), c(0, 0))
cat(c(as.character(packageVersion("lavaan")), format(measures[["chisq.scaled"]], digits = 15),
      sprintf("%.4f", t(times))), sep = "\t")
cat("\n")
