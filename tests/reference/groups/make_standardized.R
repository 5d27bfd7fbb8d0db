# What lavaan 0.6-14 says of single-level models of two groups: standardized solutions, R2, matrices
# and factor scores. lavaan warns that it cannot get nearer to the tolerance.
# In this folder: Rscript make_standardized.R > standardized.json
suppressMessages({library(lavaan); library(jsonlite)})
data <- read.csv("../data/demo.csv")
data$g <- ifelse(data$cluster %% 2 == 0, "a", "b")
data <- data[data$cluster <= 40, ]
model <- "f =~ y1 + y2 + y3\n h =~ y4 + y5 + y6\n f ~ x1 + x2\n h ~ f + x1"
cases <- list(configural = "", scalar = c("loadings", "intercepts"))
square <- function(m) list(names = colnames(m), values = unclass(unname(m)))
of_case <- function(equal) {
  fit <- sem(model, data, group = "g", group.label = c("a", "b"), group.equal = equal,
             control = list(rel.tol = 1e-12))
  columns <- c("lhs", "op", "rhs", "group", "est.std", "se")
  standardized <- lapply(c(all = "std.all", lv = "std.lv", nox = "std.nox"), function(type) {
    found <- standardizedSolution(fit, type = type)
    as.list(as.data.frame(found)[found$op != "==", columns])
  })
  list(
    group.equal = equal,
    standardized = standardized,
    rsquare = lapply(lavInspect(fit, "rsquare"), function(r) as.list(r)),
    implied = lapply(lavInspect(fit, "implied"), function(i) c(square(i$cov), list(mean = as.list(i$mean)))),
    cor.lv = lapply(lavInspect(fit, "cor.lv"), square),
    mean.lv = lapply(lavInspect(fit, "mean.lv"), as.list),
    nobs = lavInspect(fit, "nobs"), ngroups = lavInspect(fit, "ngroups"),
    group.label = lavInspect(fit, "group.label"),
    scores = lapply(lavPredict(fit), function(s) unname(unclass(s[1:5, ])))
  )
}
found <- list(lavaan = as.character(packageVersion("lavaan")), model = model, cases = lapply(cases, of_case))
cat(toJSON(found, digits = 14, auto_unbox = TRUE, matrix = "rowmajor"), "\n")
