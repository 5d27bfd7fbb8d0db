# Steps of invariance of one factor in two groups, of one level, and score tests of the equalities of
# the scalar step: Rscript make_invariance.R DEMO.csv OUT.json (lavaan 0.6-14).
library(lavaan)
args <- commandArgs(TRUE)
d <- read.csv(args[1])
d$g <- ifelse(d$cluster %% 2 == 0, "a", "b")
d <- d[order(d$g), ]
steps <- list(configural = NULL, metric = "loadings", scalar = c("loadings", "intercepts"),
              strict = c("loadings", "intercepts", "residuals"),
              means = c("loadings", "intercepts", "residuals", "means"))
fits <- lapply(steps, function(equal) {
  a <- list(model = "f =~ y1 + y2 + y3 + y4", data = d, group = "g", meanstructure = TRUE)
  if (!is.null(equal)) a$group.equal <- equal
  do.call("cfa", a)
})
tests <- lavTestScore(fits$scalar, epc = FALSE)$uni
table <- parTable(fits$scalar)
named <- function(label) {
  row <- table[table$plabel == label, ]
  paste0(row$lhs, row$op, row$rhs)
}
tests$name <- sapply(tests$lhs, named)
out <- list(
  steps = lapply(fits, function(f) as.list(fitMeasures(f, c("logl", "chisq", "df", "cfi", "rmsea", "srmr", "npar")))),
  score = as.list(setNames(tests$X2, tests$name))
)
jsonlite::write_json(out, args[2], digits = 12, auto_unbox = TRUE, pretty = TRUE)
