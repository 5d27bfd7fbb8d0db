# Predictions of lme4 for rows that its fits have not seen: terms of formulas made again.
# Rscript make_formulas_new.R > formulas_new.json
suppressMessages({library(lme4); library(splines)})
set.seed(5)
J <- 24; n <- 5
d <- data.frame(school = rep(1:J, each = n))
d$x <- round(exp(rnorm(J * n) / 2), 3)
d$z <- round(rnorm(J * n), 3)
d$g <- sample(1:3, J * n, TRUE)
d$t <- sample(c("low", "mid", "top"), J * n, TRUE)
d$b <- sample(c("u", "v"), J * n, TRUE)
d$y <- round(d$x + d$z^2 + 0.3 * d$g + rnorm(J)[d$school] + rnorm(J * n), 3)
new <- data.frame(school = c(3, 3, 7, 100, 100), x = c(0.5, 3, 0.9, 9, 1.2),
                  z = c(-0.4, 3.9, 0.3, -4, 1), g = c(2, 2, 3, 1, 2),
                  t = c("top", "mid", "top", "low", "mid"), b = c("u", "v", "v", "u", "u"))
formulas <- c(
  "y ~ log(x) + poly(z, 2) + factor(g) + (1 | school)",
  "y ~ scale(x) + ns(z, df = 3) + (1 | school)",
  "y ~ bs(z, df = 4) + t + (1 | school)",
  "y ~ bs(z, knots = c(-1, 0, 1), degree = 2) + (1 | school)",
  "y ~ poly(x, 2) * t + (1 | school)",
  "y ~ scale(x, center = FALSE) * b + poly(z, 2, raw = TRUE) + (1 | school)",
  "y ~ C(factor(t), contr.sum) + cut(z, c(-Inf, 0, Inf)) + I(x^2) + (1 | school)",
  "y ~ t:x + factor(g, labels = c('a', 'b', 'c')) + I(z > 0) + (1 | school)",
  "y ~ relevel(factor(t), ref = 'mid') + factor(b) + (1 | school)",
  "y ~ factor(g, ordered = TRUE) + ns(x, knots = c(1, 2)) + (1 | school)",
  "y ~ 0 + t + x + (1 | school)",
  "y ~ scale(x) + (scale(x) | school)"
)
cases <- lapply(formulas, function(f) {
  fit <- suppressWarnings(suppressMessages(lmer(as.formula(f), d)))
  seen <- suppressWarnings(predict(fit, new, allow.new.levels = TRUE))
  fixed <- suppressWarnings(predict(fit, new, re.form = NA))
  list(formula = f, seen = unname(seen), fixed = unname(fixed))
})
cat(jsonlite::toJSON(list(lme4 = as.character(packageVersion("lme4")), data = d, new = new,
                          cases = cases), dataframe = "columns", digits = 10, auto_unbox = TRUE))
cat("\n")
