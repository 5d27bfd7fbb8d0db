# What lavaan makes of model texts for several groups: its parameter tables, without fitting.
#   Rscript make_lavaan_groups.R lavaan_groups.json
# The data are random; their groups appear in sorted order, in which lavaan numbers them.
suppressMessages({library(lavaan); library(jsonlite)})
set.seed(1)
N <- 300
d <- data.frame(two = rep(c("a", "b"), each = N / 2), three = rep(1:3, each = N / 3))
for (v in c(paste0("y", 1:9), paste0("x", 1:2))) d[[v]] <- rnorm(N)

cases <- list()
case <- function(model, ..., fun = "sem", group = "two") {
  options <- list(...)
  call <- c(list(model = model, data = d, group = group, do.fit = FALSE), options)
  fit <- try(suppressWarnings(do.call(fun, call)), silent = TRUE)
  if (inherits(fit, "try-error")) { cat("FAILED", model, fit); return(invisible()) }
  table <- as.data.frame(parTable(fit))
  table <- table[table$op %in% c("=~", "~", "~~", "~1"), ]
  cases[[length(cases) + 1]] <<- list(
    model = model, fun = fun, groups = I(unique(d[[group]])), options = if (length(options)) options else setNames(list(), character()),
    rows = table[, c("lhs", "op", "rhs", "group", "user", "free", "ustart", "exo", "label")],
    names = I(names(coef(fit))))
}
f <- "f =~ y1 + y2 + y3"
fk <- paste0(f, "\nk =~ y4 + y5 + y6")
metric <- "loadings"; scalar <- c(metric, "intercepts"); strict <- c(scalar, "residuals")

case(f); case(f, meanstructure = FALSE); case(fk, std.lv = TRUE); case("y1 ~ x1 + x2"); case("y1 ~ x1\ny2 ~ y1", fixed.x = FALSE)
case(fk, group.equal = metric); case(fk, group.equal = scalar); case(fk, group.equal = strict, group = "three"); case(f, group.equal = c(scalar, "means"))
case(fk, group.equal = c(strict, "lv.variances", "lv.covariances", "means")); case(fk, std.lv = TRUE, group.equal = metric); case(fk, std.lv = TRUE, group.equal = c(scalar, "lv.variances"))
case(paste0(fk, "\nk ~ f"), std.lv = TRUE, group.equal = metric, group = "three"); case(f, group.equal = metric, meanstructure = FALSE)
# what is of which kind
case(paste0(f, "\nf ~ x1\ny7 ~ f + x2"), group.equal = c(strict, "regressions")); case(paste0(f, "\nf ~ x1\ny7 ~ f + x2"), fixed.x = FALSE, group.equal = c(strict, "means", "residual.covariances", "lv.covariances"))
case(paste0(f, "\ny4 ~ f + x1\ny4 ~~ y5"), group.equal = c(strict, "residual.covariances"), group.partial = c("y4~~y5", "y4~f")); case("y1 ~ x1 + x2\nx1 ~~ x2", group.equal = c("residuals", "residual.covariances", "intercepts", "regressions"))
case(paste0(f, "\nf ~~ y4\ny4 ~ x1\ny5 ~ x1"), group.equal = "residual.covariances"); case(paste0(f, "\nf ~~ y4\ny4 ~ x1\ny5 ~ x1"), group.equal = "lv.covariances")
case("i =~ 1*y1 + 1*y2 + 1*y3\ns =~ 0*y1 + 1*y2 + 2*y3", fun = "growth", group.equal = c("intercepts", "means")); case(paste0(fk, "\nq =~ f + k"), group.equal = metric); case(fk, group.equal = scalar, orthogonal = TRUE)
# what is not equal
case(f, group.equal = scalar, group.partial = c("f=~y2", "y1~1")); case(fk, group.equal = strict, group.partial = c("k =~ y6", "y2 ~~ y2", "y3 ~ 1"), group = "three"); case(paste0(f, "\nf ~ 0*1"), group.equal = scalar); case(paste0(f, "\nf ~ c(0, NA)*1"), group.equal = scalar); case(paste0(f, "\nf ~ 1"), group.equal = scalar)
case("f =~ y1 + c('q', NA, NA)*y2 + y3", group.equal = metric, group = "three"); case("f =~ y1 + c('a', 'b')*y2 + y3", group.equal = scalar); case("f =~ y1 + c(1.5, 1.5)*y2 + y3", group.equal = scalar)
# modifiers of groups
case("f =~ y1 + c(a, b)*y2 + c(a, d)*y3"); case("f =~ y1 + c(a, a)*y2 + y3"); case("f =~ y1 + a*y2 + y3"); case("f =~ y1 + c(NA, 1)*y2 + c(0.5, 1)*y3"); case("f =~ y1 + c('a', NA)*y2 + start(c(0.5, 2))*y3"); case("f =~ c('a', NA)*y1 + y2 + y3")
case("f =~ c(NA, 1)*y1 + y2 + y3\nf ~~ c(1, NA)*f"); case("f =~ y1 + c(a, b)*y2 + label(c('d', 'e'))*y3\nf ~~ equal(c('v', 'v'))*f"); case("y1 ~ c(a, b, a)*x1 + c(NA, 0, NA)*x2", group = "three"); case("y1 ~ c(0, NA)*1 + x1"); case("f =~ y1 + 0.5*y2 + start(2)*y3")
case(paste0("group: 1\n", f, "\ngroup: 2\nf =~ y1 + y2 + y3 + y4")); case("group: 1\ny1 ~ a*x1\ngroup: 2\ny1 ~ a*x1 + x2\ny2 ~ x1"); case(paste0("group: 1\n", f, "\ngroup: 2\n", f, "\nf ~ NA*1\ngroup: 1\ny1 ~~ y2"), group.equal = c(strict, "residual.covariances"))

writeLines(toJSON(list(lavaan = as.character(packageVersion("lavaan")), cases = cases), auto_unbox = TRUE, na = "null", null = "null", dataframe = "columns", digits = NA), commandArgs(TRUE)[1])
cat(length(cases), "cases\n")
