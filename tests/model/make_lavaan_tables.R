# What lavaan makes of model texts: its parameter tables and coefficient names, without fitting.
#   Rscript make_lavaan_tables.R lavaan_tables.json
# The data are random: only the names and levels of the columns matter.
suppressMessages({library(lavaan); library(jsonlite)})
set.seed(1)
J <- 60; n <- 8; id <- rep(seq_len(J), each = n); N <- J * n
d <- data.frame(id = id)
for (v in c(paste0("y", 1:9), "y", "m", "z", "x")) d[[v]] <- rnorm(J)[id] + rnorm(N)
for (v in paste0("x", 1:4)) d[[v]] <- rnorm(N)
for (v in c(paste0("w", 1:4), paste0("b", 1:3))) d[[v]] <- rnorm(J)[id]

cases <- list()
case <- function(model, ..., fun = "sem") {
  options <- list(...)
  call <- c(list(model = model, data = d, do.fit = FALSE), options)
  if (grepl("level *:", model)) call$cluster <- "id"
  fit <- try(suppressWarnings(do.call(fun, call)), silent = TRUE)
  if (inherits(fit, "try-error")) { cat("FAILED", model, fit); return(invisible()) }
  table <- as.data.frame(parTable(fit))
  table <- table[table$op %in% c("=~", "~", "~~", "~1"), ]
  cases[[length(cases) + 1]] <<- list(
    model = model, fun = fun, options = if (length(options)) options else setNames(list(), character()),
    rows = table[, c("lhs", "op", "rhs", "block", "user", "free", "ustart", "exo", "label")],
    names = I(names(coef(fit))))
}
two <- function(within, between, ...) case(paste0("level: 1\n ", within, "\nlevel: 2\n ", between), ...)
cfa2 <- "f =~ y1 + y2 + y3\ng =~ y4 + y5 + y6"
cfa3 <- "f =~ y1 + y2 + y3"
line <- "i =~ 1*y1 + 1*y2 + 1*y3\ns =~ 0*y1 + 1*y2 + 2*y3"

# confirmatory factor analysis
case(cfa3); case(cfa2); case(cfa2, std.lv = TRUE); case(cfa2, orthogonal = TRUE); case(cfa2, fun = "cfa", meanstructure = TRUE)
case(paste0(cfa3, "\ny2 ~~ y1\ny3 ~~ 0.2*y1")); case(paste0(cfa2, "\ng ~~ f")); case(paste0(cfa2, "\nf ~~ 0*g"))
case("f =~ NA*y1 + a*y2 + b*y3 + y4\nf ~~ 1*f"); case("f =~ a*y1 + a*y2 + y3"); case("f =~ a*y1 + b*y2 + c*y3")
case("f =~ y1 + a*y2 + a*y3\ng =~ y4 + b*y5 + y6\nf ~~ v*f\ng ~~ v*g"); case("f =~ 0.5*y1 + y2 + y3")
case("f =~ y1 + start(0.7)*y2 + y3"); case("f =~ y1\ng =~ y4 + y5 + y6"); case("f =~ y1\ny ~ f", std.lv = TRUE)
case("f =~ 0.7*y1\ny ~ f"); case("f =~ y1\ny1 ~~ y1\ny ~ f"); case("f =~ y1\ng =~ y1 + y2 + y3")
case("f =~ y1 + y2 + y3\nf ~~ f", std.lv = TRUE); case("f =~ y1 + y2 + y3\nf ~~ NA*f", std.lv = TRUE)
case(paste0(cfa3, "\nf ~ 1")); case(paste0(cfa3, "\ny1 ~ 1\ny2 ~ 0*1")); case(paste0(cfa3, "\nf ~ 0*1\ny1 + y2 ~ m*1"))
# second order, several factors, latent regressions
case(paste0(cfa2, "\nh =~ f + g")); case(paste0("h =~ f + g\n", cfa2, "\ny ~ h")); case(paste0(cfa2, "\nh =~ f + g"), std.lv = TRUE)
case(paste0(cfa2, "\nh =~ f + g\nf ~ x1\ny ~ h + x2\nz ~ x2")); case("f =~ y1 + y2\nh =~ f"); case(paste0(cfa2, "\nh ~ f + g\nh =~ y7 + y8"))
case(paste0(cfa2, "\nh =~ y7 + y8 + y9\ny ~ f\nh ~ f + x1\nz ~ g")); case(paste0(cfa2, "\nf + g ~ x1\ny ~ x1"), orthogonal = TRUE)
case(paste0(cfa2, "\ng ~ f\nf ~~ x1")); case(paste0(cfa3, "\nx1 ~~ f\nx1 ~~ x1")); case(paste0(cfa3, "\ny ~ f\ny ~~ y3\ny4 ~ y"))
case(paste0(cfa3, "\ny1 ~~ y2\ny3 ~ x1\ny ~ y1")); case(paste0(cfa3, "\nf ~ x1 + x2"), fixed.x = FALSE); case(paste0(cfa3, "\nf2 =~ y4 + y5\nf2 ~ f\ny ~ f\nz ~ f\ny1 ~ x1"))
# phantom latent variables
case("f =~ 0\nf ~ x1\ny ~ f"); case(paste0("p =~ 0\n", cfa2, "\ny ~ p")); case(paste0("h =~ 0\n", cfa3, "\nh ~ f\ny ~ f")); case("f =~ 0\nf ~~ 0*f\nf ~ x1 + x2\ny ~ f\nz ~ f")
# paths among observed variables
case("y ~ x1"); case("y ~ m + x\nm ~ x1\nz ~ y1 + m"); case("y ~ x1\nz ~ x2\ny1 ~ x1"); case("y ~ x1 + m\nm ~ y"); case("y ~ x1\nm ~ x1\ny ~~ 0*m")
case("y ~ 1"); case("y ~~ z"); case("y ~ x1\nz ~ 1"); case("y ~ x1\nz ~~ z"); case("y ~ x1\ny ~~ z\ny1 ~ y"); case("y ~ x1\ny ~~ x2"); case("m ~~ z\ny ~~ z\ny1 ~ y")
case("y ~ a*x1 + b*x2\nm ~ a*x1\nind := a*b\nv == 2*b\ny ~~ v*y"); case("y ~ a*x1 + 0.5*x2\nz ~ start(0.2)*x1"); case("y ~ a*x1 + b*m\nm ~ c*x1\nindirect := b*c\ntotal := a + indirect")
case("y ~ 0*1 + x1\nm ~ 1"); case("y ~ 1 + x1", meanstructure = TRUE); case("y + z ~ x1 + x2", fixed.x = FALSE); case("y + z ~ x1", meanstructure = TRUE); case("y ~ x1\nm ~ x1", auto.cov.y = TRUE)
# covariates in ~~ and ~1 (all of them, so that none stays fixed)
case("y ~ x1 + x2\nx1 ~~ x2"); case("y ~ x1 + x2\nx2 ~~ x1"); case("y ~ x1\nx1 ~ 1"); case("y ~ x1\ny ~~ x1"); case("y ~ x1\nx2 ~~ x1"); case("y ~ x1\nx1 ~~ z\nz ~ 1")
case("y ~ x1 + x2\nx2 ~~ x1\nx1 ~ 1", fixed.x = FALSE); case("y ~ 1 + x1\nx1 ~~ y")
# products
case("y ~ x1 + w1 + w1:x1"); case("y ~ x1:w1 + x1 + w1"); case("y + z ~ x1 + x2 + x1:x2"); two("y ~ x1 + w1:x1", "y ~ w1"); two("y ~ x1 + x2 + x1:x2", "y ~ w1 + w2 + w1:w2")
# growth, the bare lavaan()
case(line, fun = "growth"); case(paste0(line, "\ni + s ~ x1"), fun = "growth"); case(paste0(line, "\ni ~ s"), fun = "growth"); case(paste0(line, "\ny ~ i"), fun = "growth"); case(paste0(line, "\ny1 ~~ r*y1\ny2 ~~ r*y2\ny3 ~~ r*y3"), fun = "growth")
case(paste0(cfa2, "\ny ~ f\nz ~ f"), fun = "lavaan", auto.var = TRUE, meanstructure = TRUE); case(paste0(cfa2, "\ny ~ f"), fun = "lavaan", auto.var = TRUE, auto.cov.lv.x = TRUE, auto.fix.first = TRUE)
case(paste0(cfa2, "\ny ~ f\nz ~ f"), fun = "lavaan", auto.var = TRUE, auto.cov.y = TRUE); case(paste0(cfa3, "\ny ~ f"), fun = "lavaan", std.lv = TRUE, auto.var = TRUE); case("f =~ 1*y1 + y2 + y3\ny1 ~~ y1\ny2 ~~ y2\ny3 ~~ y3\nf ~~ f", fun = "lavaan"); case("y ~ x1\ny ~~ y\ny ~ 1", fun = "lavaan")
# two levels
two("y ~ x1", "y ~ w1"); two("y ~~ y", "y ~~ y"); two("y ~ x1", "y ~ 1"); two("y ~ x1\n m ~ x1 + x2", "y ~ w1\n b1 ~ y + w2"); two("y1 ~ x1", "b1 ~ w1")
two("y1 + y2 ~ x1", "y1 + y2 ~ w1\n y1 ~ 1"); two("y ~ x1\n y ~ 2*1", "y ~ w1"); two("y ~ x1\n y ~ 1", "y ~ w1"); two("y ~ x1\n y ~ NA*1", "y ~ 0*1 + w1"); two("y ~ x1", "y ~ w1", fixed.x = FALSE)
two(cfa3, "y1 ~~ y1 + y2 + y3\n y2 ~~ y2 + y3\n y3 ~~ y3"); two(cfa3, paste0(cfa3, "\n b1 ~ f\n f ~ w1 + w2\n b2 ~ w2")); two(cfa2, "fb =~ y1 + y2 + y3 + y4 + y5 + y6")
two("f =~ a*y1 + b*y2 + c*y3", "f =~ a*y1 + b*y2 + c*y3\n y1 ~~ 0*y1"); two("f =~ NA*y1 + a*y2 + b*y3\n f ~~ 1*f", "f =~ NA*y1 + a*y2 + b*y3\n f ~~ 1*f")
two("f =~ y1 + y2 + y3\n g =~ x1 + x2 + x3\n f ~ g", "f =~ y1 + y2 + y3\n h =~ w1 + w2 + w3\n f ~ h"); two("f =~ y1 + y2 + y3\n g =~ x1 + x2 + x3\n f ~ g", "f =~ y1 + y2 + y3\n h =~ w1 + w2 + w3\n f ~ h", std.lv = TRUE)
two("f =~ y1 + y2 + y3\n m ~ f", "f =~ y1\n y2 ~~ y3"); two("y ~ x1", "f =~ w1 + w2 + w3\n y ~ f + w4\n b1 ~ f"); two("f =~ y1 + y2 + y3\n f ~ x1 + x2", "y1 + y2 + y3 ~ w1"); two("f =~ y1", "f =~ y1\n f ~ w1")
two("m ~ a1*x\n y ~ b1*m + c1*x", "m ~ a2*x + w1\n y ~ b2*m + c2*x", fixed.x = FALSE); two("y ~ m", "m ~ a*w1\n y ~ b*m + c*w1\n b1 ~ d*y", fixed.x = FALSE); two("y ~ x1 + x2", "y ~ w1\n x1 ~ w1", fixed.x = FALSE)
two("y ~ x + x1", "y ~ x + w1", fixed.x = FALSE); two("y ~ x + x1", "y ~ w1\n x ~ 1", fixed.x = FALSE); two("y ~ x1 + x2\n x1 ~~ x2", "y ~ w1 + w2\n w1 ~~ w2"); two("y ~ x1\n x1 ~ 1", "y ~ w1\n w1 ~~ w1"); two("y ~ x1", "y ~ x1 + w1", fixed.x = FALSE)
# covariates with a part at both levels: fixed at the estimates of the saturated model
two("y ~ x + x1", "y ~ x + w1"); two("m ~ a1*x\n y ~ b1*m + c1*x", "m ~ a2*x + w1\n y ~ b2*m + c2*x"); two("y ~ x + x1", "y ~ w1\n x ~ w1"); two("f =~ y1 + y2 + y3\n f ~ x + m + x1", "f =~ y1 + y2 + y3\n f ~ w1 + x + m"); two("y ~ m + x1\n m ~ x1", "y ~ m + w1"); two("y ~ x", "y ~ x")
two("y ~ x1\n z ~ x1", "y ~ w1\n z ~ w2\n y ~~ 0*z"); two("i =~ 1*m + 1*y + 1*z\n s =~ 0*m + 1*y + 2*z", "m ~~ m\n y ~~ y\n z ~~ z", orthogonal = TRUE); two("i =~ 1*x1 + 1*x2 + 1*x3\n s =~ 0*x1 + 1*x2 + 2*x3", "b1 ~ w1", fun = "growth")
case("level: within\n y ~ x1\nlevel: between\n y ~ w1\n b1 ~ y"); case("level: pupil\n y1 ~ x1\nlevel: school\n y1 ~ w1\n y1 ~ 0*1"); case("level: 1\n y ~ x1\nlevel: 2\n y ~ w1\nlevel: 1\n y ~ x2")

writeLines(toJSON(list(lavaan = as.character(packageVersion("lavaan")), cases = cases), auto_unbox = TRUE, na = "null", null = "null", dataframe = "columns", digits = NA), commandArgs(TRUE)[1])
cat(length(cases), "cases\n")
