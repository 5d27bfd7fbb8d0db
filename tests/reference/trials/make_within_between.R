# Rscript make_within_between.R: within_between.json from data/trial.csv (R 4.2, plm, lme4,
# clubSandwich, jsonlite). Run in this folder.
suppressMessages({library(plm); library(lme4); library(clubSandwich); library(jsonlite)})
d <- read.csv("data/trial.csv")
d$school <- factor(d$school)
for (v in c("x", "female")) d[[paste0(v, "_between")]] <- ave(d[[v]], d$school)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))

fixed <- plm(score ~ x + female, data = d, index = "school", model = "within")
robust <- function(fit, kind, names) {
  found <- coef_test(fit, vcovCR(fit, cluster = d$school, type = kind), test = "Satterthwaite")
  found <- as.data.frame(found)[match(names, rownames(as.data.frame(found))), ]
  list(se = found$SE, df = found$df_Satt)
}
within <- c("x", "female")
between <- c("x_between", "female_between")
random <- lmer(score ~ x + female + w + (1 | school), d, control = tight)
contextual <- lmer(score ~ x + female + w + x_between + female_between + (1 | school), d,
  control = tight)
test <- Wald_test(contextual, constrain_zero(between), vcov = "CR2", test = "HTZ")
out <- list(
  versions = list(plm = as.character(packageVersion("plm")),
    lme4 = as.character(packageVersion("lme4")),
    clubSandwich = as.character(packageVersion("clubSandwich"))),
  fixed = list(coef = unname(coef(fixed)[within]), se = unname(sqrt(diag(vcov(fixed)))[within]),
    CR0 = robust(fixed, "CR0", within), CR2 = robust(fixed, "CR2", within)),
  random = list(coef = unname(fixef(random))),
  contextual = list(coef = unname(fixef(contextual)),
    CR2 = robust(contextual, "CR2", names(fixef(contextual)))),
  hausman = list(F = test$Fstat, df = test$df_num, df_denom = test$df_denom, p = test$p_val))
write(toJSON(out, digits = 15, auto_unbox = TRUE, pretty = 1), "within_between.json")
