# One peer in R, as benchmarks/peers.py times those in Python.
# Rscript peers.R PACKAGE FOLDER BUDGET    FOLDER/small, FOLDER/whole: columns, formula.txt, model.lav
# Last line: JSON with version, seconds (first call to few rows; median of calls to all), peak memory
# beyond what was there (MB, Linux alone), estimates and errors by the names that mlsem has for them.
args <- commandArgs(TRUE)
package <- args[1]
folder <- args[2]
budget <- as.numeric(args[3])

rows <- function(step) {
  columns <- readLines(file.path(folder, step, "columns.txt"))
  as.data.frame(sapply(columns, function(column) {
    file <- file.path(folder, step, paste0(column, ".f64"))
    readBin(file, "double", file.size(file) / 8)
  }, simplify = FALSE))
}
named <- function(values, terms) {
  terms <- sub("^y~int$", "y~w1:x1", sub("x1:w1", "w1:x1", sub("(Intercept)", "1", terms, fixed = TRUE)))
  list(terms = terms, values = as.numeric(values))
}
answer <- function(terms, estimates, errors) {
  list(estimates = named(estimates, terms), errors = named(errors, terms))
}

by_lavaan <- function(step, data) {
  model <- paste(readLines(file.path(folder, step, "model.lav")), collapse = "\n")
  function() {
    fit <- suppressWarnings(sem(model, data = data, cluster = "id", estimator = "MLR"))
    found <- parameterEstimates(fit)
    answer(paste0(found$lhs, found$op, found$rhs), found$est, found$se)
  }
}
by_lmer <- function(step, data, errors) {
  formula <- as.formula(readLines(file.path(folder, step, "formula.txt")))
  function() {
    fit <- suppressMessages(suppressWarnings(lmer(formula, data = data, REML = FALSE)))
    answer(paste0("y~", names(fixef(fit))), fixef(fit), errors(fit, data))
  }
}
own <- function(fit, data) sqrt(diag(as.matrix(vcov(fit))))
cr2 <- function(fit, data) {
  V <- vcovCR(fit, cluster = data$id, type = "CR2")
  coef_test(fit, vcov = V, test = "Satterthwaite")$SE
}
ready <- function(step, data) {
  switch(package,
    lavaan = by_lavaan(step, data),
    lme4 = by_lmer(step, data, own),
    clubSandwich = by_lmer(step, data, cr2)
  )
}

timed <- function(call) {
  cpu <- proc.time()
  wall <- Sys.time()
  found <- call()
  wall <- as.numeric(Sys.time()) - as.numeric(wall)
  spent <- proc.time() - cpu
  list(found = found, wall = wall, cpu = spent[[1]] + spent[[2]])
}
resident <- function(line) {
  status <- readLines("/proc/self/status")
  as.numeric(gsub("[^0-9]", "", grep(paste0("^", line), status, value = TRUE))) / 1024
}

suppressMessages({
  if (package == "lavaan") library(lavaan) else library(lme4)
  if (package == "clubSandwich") library(clubSandwich)
})
first <- timed(ready("small", rows("small")))$wall
call <- ready("whole", rows("whole"))
linux <- file.exists("/proc/self/clear_refs")
invisible(gc())
if (linux) {
  before <- resident("VmRSS")
  cat("5", file = "/proc/self/clear_refs")
}
once <- timed(call)
memory <- if (linux) sprintf("%.6g", resident("VmHWM") - before) else "null"
repeats <- min(200, floor(budget / once$wall))
runs <- if (repeats > 1) lapply(seq_len(repeats), function(k) timed(call)) else list(once)
wall <- median(vapply(runs, function(run) run$wall, 0))
# R's clock of processor time has steps of a millisecond: the mean of many calls sees finer ones.
cpu <- mean(vapply(runs, function(run) run$cpu, 0))

json <- function(part) {
  known <- is.finite(part$values)
  paste0("{", paste(sprintf("\"%s\": %.15g", part$terms[known], part$values[known]), collapse = ", "), "}")
}
cat(sprintf(
  "{\"version\": \"%s\", \"first\": %.6g, \"wall\": %.6g, \"cpu\": %.6g, \"memory\": %s, \"estimates\": %s, \"errors\": %s}\n",
  packageVersion(package), first, wall, cpu, memory, json(once$found$estimates), json(once$found$errors)
))
