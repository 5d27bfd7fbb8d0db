# Rscript make_fit_single_level.R DATA OUTDIR: two groups at one level by lavaan 0.6-14.
suppressMessages({library(lavaan); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
data <- read.csv(file.path(args[1], "hs1939.csv"))
model <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
equal <- list(configural = "", metric = "loadings", scalar = c("loadings", "intercepts"))
fit <- function(name, estimator) {
  cfa(model, data, group = "school", group.equal = equal[[name]], estimator = estimator)
}
case <- function(name) {
  ml <- fit(name, "ML")
  indices <- modindices(ml)
  indices <- indices[indices$op != "~1", c("lhs", "op", "rhs", "group", "mi", "epc", "sepc.all")]
  tests <- if (name == "configural") NULL else lavTestScore(ml, epc = TRUE)
  list(
    group_equal = I(setdiff(equal[[name]], "")),
    ml = as.list(fitMeasures(ml)),
    mlr = as.list(fitMeasures(fit(name, "MLR"))),
    indices = as.list(indices),
    score = if (is.null(tests)) NULL else tests$test$X2,
    released = if (is.null(tests)) NULL else tests$uni$X2
  )
}
differences <- function(estimator, ...) {
  two <- function(simple, full) {
    found <- lavTestLRT(fit(simple, estimator), fit(full, estimator), ...)
    list(statistic = found[2, "Chisq diff"], df = found[2, "Df diff"])
  }
  list(metric = two("metric", "configural"), scalar = two("scalar", "metric"))
}
found <- list(
  lavaan = as.character(packageVersion("lavaan")), model = model, data = "hs1939.csv",
  group = "school", cases = sapply(names(equal), case, simplify = FALSE),
  differences = list(
    lr = differences("ML"),
    satorra.bentler.2001 = differences("MLR"),
    satorra.bentler.2010 = list(metric = {
      test <- lavTestLRT(fit("metric", "MLR"), fit("configural", "MLR"),
                         method = "satorra.bentler.2010")
      list(statistic = test[2, "Chisq diff"], df = test[2, "Df diff"])
    })
  )
)
writeLines(toJSON(found, digits = 10, auto_unbox = TRUE, na = "null", null = "null"),
           file.path(args[2], "fit_single_level.json"))
