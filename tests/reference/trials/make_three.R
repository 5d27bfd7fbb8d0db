# Mixed models of three levels: lme4, lmerTest, pbkrtest and clubSandwich at the schools.
# Rscript make_three.R, in this folder; writes three.json and data/three_slopes.csv (simulated).
suppressMessages({library(lme4); library(lmerTest); library(clubSandwich); library(jsonlite)})
set.seed(18)
school <- rep(1:24, sample(2:5, 24, TRUE)); of <- school
size <- sample(2:8, length(of), TRUE)
class <- rep(ave(of, of, FUN = seq_along), size); school <- rep(of, size); id <- rep(seq_along(of), size)
x <- rnorm(length(id), 2); u <- matrix(rnorm(2 * length(of)), ncol = 2); v <- matrix(rnorm(48), ncol = 2)
y <- 1 + .5 * x + u[id, 1] * .7 + u[id, 2] * .5 * x + v[school, 1] * .9 + v[school, 2] * .6 * x + rnorm(length(id))
write.csv(round(data.frame(school, class, x, y), 4), "data/three_slopes.csv", row.names = FALSE, quote = FALSE)
sets <- list(three = read.csv("data/three.csv"), three_slopes = read.csv("data/three_slopes.csv"))
cases <- list(nested = c("three", "y ~ x + v + z + (1 | school/class)"),
              singular = c("three", "y ~ x + v + z + (x | school/class)"),
              upper_slope = c("three_slopes", "y ~ x + (x | school) + (1 | school:class)"),
              both_slopes = c("three_slopes", "y ~ x + (x | school/class)"),
              apart = c("three_slopes", "y ~ x + (x || school) + (1 | school:class)"))
one <- function(set, text, REML) {
  d <- sets[[set]]
  f <- lmerTest::lmer(as.formula(text), d, REML = REML,
                      control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11)))
  v <- as.data.frame(VarCorr(f))
  r <- as.data.frame(ranef(f, condVar = TRUE))
  s <- coef(summary(f))
  out <- list(data = set, formula = text, REML = REML, names = names(fixef(f)), coef = unname(fixef(f)),
              vcov = unname(as.matrix(vcov(f))), loglik = as.numeric(logLik(f)),
              grp = v$grp, var1 = v$var1, var2 = v$var2, var = v$vcov, singular = isSingular(f),
              satterthwaite = unname(s[, "df"]),
              ranef = lapply(r, function(x) if (is.factor(x)) as.character(x) else x))
  if (REML && !isSingular(f)) {
    k <- coef(summary(f, ddf = "Kenward-Roger"))
    out$kr_se <- unname(k[, "Std. Error"])
    out$kr_df <- unname(k[, "df"])
  }
  plain <- lme4::lmer(as.formula(text), d, REML = REML,
                      control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11)))
  if (!isSingular(f))
    out$robust <- sapply(c("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"), function(type) {
      V <- vcovCR(plain, cluster = d$school, type = type)
      list(vcov = unname(as.matrix(V)),
           df = coef_test(plain, V, test = "Satterthwaite")$df_Satt)
    }, simplify = FALSE)
  out
}
found <- list()
for (name in names(cases)) for (REML in c(TRUE, FALSE))
  found[[paste0(name, if (REML) "_reml" else "_ml")]] <- one(cases[[name]][1], cases[[name]][2], REML)
writeLines(toJSON(found, digits = 17, auto_unbox = TRUE, na = "null", null = "null", pretty = FALSE),
           "three.json")
