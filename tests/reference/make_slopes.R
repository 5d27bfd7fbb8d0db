# Simple slopes and the bounds of Johnson & Neyman: emmeans on lmerTest's fits, and by hand from
# lavaan's covariance matrix.  Rscript tests/reference/make_slopes.R  writes slopes.json
suppressMessages({library(lmerTest); library(emmeans); library(lavaan); library(jsonlite)})
here <- "tests/reference"
article <- read.csv("examples/article.csv")
article$z <- article$w1^2 / 3 + article$x1 / 2          # of level 1, correlated with both
article$g <- c("a", "b", "c")[1 + seq_len(nrow(article)) %% 3]
cases <- list()

trends <- function(fit, spec, var, at, df, ...) {
  s <- summary(emtrends(fit, spec, var = var, at = at, lmer.df = df, ...), infer = TRUE)
  list(est = s[[paste0(var, ".trend")]], se = s$SE, df = s$df, p = s$p.value,
       lower = s$lower.CL, upper = s$upper.CL)
}
bound <- function(fit, var, moderator, between, df) {
  gap <- function(w) {
    s <- summary(emtrends(fit, moderator, var = var, at = setNames(list(w), moderator), lmer.df = df))
    abs(s[[paste0(var, ".trend")]] / s$SE) - qt(0.975, s$df)
  }
  uniroot(gap, between, tol = 1e-10)$root
}

across <- lmer(y ~ w1 * x1 + (x1 | id), article, control = lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12)))
cases$across_satterthwaite <- c(trends(across, ~ w1, "x1", list(w1 = c(-1, 0, 0.5)), "satterthwaite"),
                                bound = bound(across, "x1", "w1", c(-2, 0), "satterthwaite"))
cases$across_kenward_roger <- trends(across, ~ w1, "x1", list(w1 = c(-1, 0, 0.5)), "kenward-roger")
factor_ <- lmer(y ~ g * x1 + w1 + (1 | id), article)
cases$factor <- trends(factor_, ~ g, "x1", list(), "satterthwaite")
# the effect of x1 at z, averaged over the levels of g with equal weights
three <- lmer(y ~ x1 * z + x1 * g + (1 | id), article)
cases$averaged <- trends(three, ~ z, "x1", list(z = c(-1, 1)), "satterthwaite")
square <- lmer(y ~ x1 + I(x1^2) + w1 + (1 | id), article)
cases$square <- trends(square, ~ x1, "x1", list(x1 = c(-1, 0, 2)), "satterthwaite", delta.var = 1e-6)

fit <- sem("
  level: 1
    y ~ x1 + wx
  level: 2
    y ~ w1
", transform(article, wx = w1 * x1), cluster = "id")
V <- vcov(fit)[c("y~x1", "y~wx"), c("y~x1", "y~wx")]
b <- coef(fit)[c("y~x1", "y~wx")]
w <- c(-1, 0, 0.5)
crit <- qnorm(0.975)^2
a <- c(b[1]^2 - crit * V[1, 1], 2 * (b[1] * b[2] - crit * V[1, 2]), b[2]^2 - crit * V[2, 2])
cases$lavaan <- list(est = unname(b[1] + b[2] * w), se = sqrt(V[1, 1] + 2 * w * V[1, 2] + w^2 * V[2, 2]),
                     bounds = sort(Re(polyroot(a))))
cases$versions <- list(R = as.character(getRversion()), lmerTest = as.character(packageVersion("lmerTest")),
                       emmeans = as.character(packageVersion("emmeans")), lavaan = as.character(packageVersion("lavaan")))
write_json(cases, file.path(here, "slopes.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
