## make_formulas.R -- what formulas mean in R: columns of model.matrix, and lme4's fits
## run:  Rscript make_formulas.R OUTDIR    -> OUTDIR/formulas.json, OUTDIR/data/formulas.csv
## The right-hand sides of formulas_random.txt (beside this script) are trees of the operators, drawn at random.
suppressPackageStartupMessages({library(lme4); library(splines); library(jsonlite)})
OUT <- commandArgs(TRUE)[1]; dir.create(file.path(OUT, "data"), showWarnings = FALSE, recursive = TRUE)
FILE <- file.path(OUT, "data", "formulas.csv")

## 16 clusters of 6; gaps in y, x2, f and t; a cell f = c, g = q that is empty
set.seed(20261128)
J <- 16; n <- 6 * J; id <- rep(seq_len(J), each = 6)
d <- data.frame(id = id, x1 = round(rnorm(n, 2), 3), x2 = round(runif(n, .1, 5), 3),
                t = rep(1:6, J), w1 = round(rnorm(J)[id], 3),
                f = sample(c("a", "b", "c"), n, TRUE), g = sample(c("p", "q"), n, TRUE),
                sex = sample(c("female", "male"), n, TRUE), stringsAsFactors = FALSE)
d$g[d$f == "c"] <- "p"
d$y <- round(1 + .5 * d$x1 + rnorm(J)[id] + rnorm(n) + .3 * d$t + .4 * rnorm(J)[id] * d$t, 3)
d$x3 <- 2 * d$x1 - d$t                                    # collinear, exactly
d$gap <- ifelse(runif(n) < .1, NA, d$x1)
d$y[c(5, 30, 61)] <- NA; d$x2[c(8, 31)] <- NA; d$f[c(12, 77)] <- NA
write.csv(d, FILE, row.names = FALSE, na = "", quote = FALSE)
d <- read.csv(FILE, stringsAsFactors = FALSE, na.strings = "")

RIGHT <- c(
  "x1", "x1*w1", "0 + x1", "f", "0 + f", "f - 1", "f + g", "0 + f + g", "f*g", "f:g", "g:f", "0 + f:g", "f + f:g", "g + f:g",
  "f/x1", "f/g", "f/(x1 + g)", "(f + x1)/g", "f:x1", "f + f:x1", "x1 + f:x1", "0 + f:x1", "0 + x1 + f", "0 + f + f:sex",
  "f*x1*g", "(f + g + x1)^2", "(f + g + sex)^3 - f:g:sex", "f*g - f", "f*g - g", "f*g*sex - f:g", "f:g + f:sex", "f:g + g:sex + x1", "x1*f + x1:g", "x1:f + w1:f", "f:sex + x1:g:sex", "g:sex + f:g:x1", "0 + f:g + f:sex", "f + x1:g + x1:f",
  "x1*f - x1", "x1:f:g", "x1:f + x1:g",
  "0 + x1:f + x1:g", "f:g:sex", "0 + x1 + f:g", "w1*f + f:g", "x1:w1:f", "1", "0 + x1*f", "sex/f - 1", "f %in% g" ,
  "I(x1^2)", "I(-x1^2)", "I(2^-x1)", "I(x1 * 1e3)", "I(x1 + 2 * pi)", "I(x1 %% 2)", "I(x1 %/% 0.5)", "I(0.1 * x1 + 1e-4)", "I(100000 * x1 / 123456)",
  "log(x2)", "log(x2, 2)", "log(x2, base = 10)", "log1p(x2)", "exp(-x1)", "sqrt(x2)", "abs(x1 - 2)", "round(x1, 1)", "trunc(x1)", "ceiling(x1)", "atan(x1)",
  "scale(x1)", "scale(x2)", "scale(gap)", "scale(gap, scale = FALSE)", "scale(gap, center = FALSE)", "scale(t, 2, 3)", "I(scale(t)^2)", "scale(log(x2))",
  "poly(t, 2)", "poly(x1, 3)", "poly(x1, 1)", "poly(t, 2, raw = TRUE)", "poly(x1, degree = 2)", "f*poly(t, 2)",
  "bs(x1)", "bs(gap, df = 5)", "bs(x1, knots = c(1.5, 2.5))", "bs(x1, degree = 2, df = 4)", "bs(x2, df = 5, intercept = TRUE)",
  "ns(x1, df = 3)", "ns(gap, 4)", "ns(x1, knots = 2)", "ns(t)",
  "factor(t)", "as.factor(t):x1", "factor(t, levels = c(6, 5, 4, 3, 2, 1))", "factor(t, levels = 1:4)", "factor(g, labels = c('P', 'Q'))",
  "relevel(factor(f), ref = 'b')", "C(factor(f), contr.sum)", "C(factor(f), sum)", "C(factor(f), contr.helmert)", "C(factor(t), contr.poly)", "ordered(t)", "C(factor(f), contr.sum):x1", "cut(x1, c(-10, 1, 2, 10))",
  "cut(t, c(1, 3, 6), include.lowest = TRUE)", "cut(t, c(1, 3, 7), right = FALSE)", "cut(x1, breaks = c(-10, 2, 10), labels = c('low', 'high'))", "interaction(f, g)",
  "I(x1 > 2)", "0 + I(x1 > 2)", "f:I(x1 > 2)", "I(gap > 2 & t > 3) + x1", "factor(x1 > 2)", "as.numeric(x1 > 2)", "as.integer(x1)", "as.numeric(factor(f))", "as.integer(x1 > 1 & x1 < 2)", "as.numeric(x1 < 1 | g == 'q')", "as.numeric(!(f == 'a'))",
  "as.numeric(f %in% c('a', 'c'))", "as.numeric(gap > 2)", "as.numeric(f != 'a')", "as.numeric(gap > 2 | t > 3)", "as.numeric(gap > 2 & t > 3)", "as.numeric(is.na(gap))",
  "ifelse(x1 > 2, x1 - 2, 0)", "ifelse(is.na(gap), 0, gap)", "ifelse(f == 'a', 1, 0)", "ifelse(x1 > 2, 'high', 'low')", "ifelse(t > 4, NA, t)", "pmin(x1, 2)", "pmax(x1, x2)",
  "I(x1 - mean(x1))", "I(gap - mean(gap, na.rm = TRUE))", "I((x1 - mean(x1)) / sd(x1))", "I(x1 / max(x1))", "I(x1 - min(x1))", "I(x1 - median(x1))",
  "plogis(x1)", "qlogis(x2 / 6)", "pnorm(x1)", "I(1/x2)", "I(x1*x2)", "I(x1 + x2)", "I((x1 + x2)^2):f", "log(x2)*f", "t + I(t^2) + I(t^3)", "sin(2*pi*t/12) + cos(2*pi*t/12)",
  "x1 + x3 + t", "x3 + x1 + t", "f*g + x1 + x3 + t", "factor(t) + t", "t + factor(t)", "f + I(as.numeric(f == 'a')) + x1", "factor(id) + w1", "I(1 + 0*x1) + x1")
RIGHT <- RIGHT[RIGHT != "f %in% g"]

## lme4 takes every | for that of a random part, so here it is a function
or <- function(a, b) a | b
OR <- c("as.numeric(x1 < 1 | g == 'q')" = "as.numeric(or(x1 < 1, g == 'q'))", "as.numeric(gap > 2 | t > 3)" = "as.numeric(or(gap > 2, t > 3))")

columns <- lapply(RIGHT, function(right) {
  F <- as.formula(paste("y ~", if (right %in% names(OR)) OR[[right]] else right, "+ (1 | id)"))
  X <- lFormula(F, d, control = lmerControl(check.rankX = "ignore"))$X; q <- qr(X, tol = 1e-7)
  gone <- if (q$rank < ncol(X)) sort(q$pivot[(q$rank + 1):ncol(X)]) else integer(0)
  fit <- suppressWarnings(suppressMessages(lmer(F, d)))
  kept <- names(fixef(fit)); if (!identical(kept, if (length(gone)) colnames(X)[-gone] else colnames(X))) cat("lme4 chose otherwise:", right, "\n")
  if (right %in% names(OR)) colnames(X)[2] <- gsub("'", "\"", right)
  list(right = right, n = nrow(X), names = I(colnames(X)), first = I(unname(X[1, ])), last = I(unname(X[nrow(X), ])), sums = I(unname(colSums(X))),
       squares = I(unname(colSums(X^2))), dropped = I(colnames(X)[gone]))
})

HERE <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
random <- lapply(readLines(file.path(HERE, "formulas_random.txt")), function(right) {
  X <- lFormula(as.formula(paste("y ~", right, "+ (1 | id)")), d, control = lmerControl(check.rankX = "ignore"))$X; q <- qr(X, tol = 1e-7)
  gone <- if (q$rank < ncol(X)) sort(q$pivot[(q$rank + 1):ncol(X)]) else integer(0)
  list(right = right, names = paste(colnames(X), collapse = " "), sums = I(unname(colSums(X))), dropped = paste(colnames(X)[gone], collapse = " "))
})

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = .2, rhoend = 1e-10, maxfun = 1e5),
                     check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
FITS <- c("y ~ scale(t) + (scale(t) | id)", "y ~ poly(t, 2) + (1 | id)", "y ~ f*g + (1 | id)", "y ~ x1 + x3 + t + (t | id)", "y ~ f/x1 + (1 | id)", "y ~ f:sex + (1 | id)",
          "y ~ factor(t) + t + (1 | id)", "y ~ scale(gap) + (1 | id)", "y ~ bs(gap, df = 4) + (1 | id)", "log(x2) ~ t + (t || id)", "y ~ x1 + (1 + f | id)", "y ~ ns(t, 3) + (1 | id)",
          "y ~ x1 + I(2 * x1) + t + (I(2 * x1) | id)", "y ~ f*g*sex + (1 | id)", "y ~ t + as.integer(x1 > 2 & x2 < 3) + (1 | id)")
fits <- unlist(lapply(FITS, function(text) lapply(c(TRUE, FALSE), function(reml) {
  fit <- suppressWarnings(suppressMessages(lmer(as.formula(text), d, REML = reml, control = tight)))
  list(formula = text, REML = reml, n = nobs(fit), logLik = as.numeric(logLik(fit)), names = I(names(fixef(fit))), fixef = I(unname(fixef(fit))),
       se = I(unname(sqrt(diag(as.matrix(vcov(fit)))))))
})), recursive = FALSE)

## 18 outcomes of sleepstudy missing
s <- sleepstudy; s$Reaction[seq(9, 180, by = 10)] <- NA
fit <- lmer(Reaction ~ scale(Days) + (1 | Subject), s)
sleep <- list(missing = I(which(is.na(s$Reaction)) - 1), fixef = I(unname(fixef(fit))), logLik = as.numeric(logLik(fit)))
write_json(list(columns = columns, random = random, fits = fits, sleep = sleep), file.path(OUT, "formulas.json"), digits = 12, auto_unbox = TRUE, pretty = FALSE)
print(sleep$fixef)
