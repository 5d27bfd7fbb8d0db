library(lme4); library(lmerTest); library(clubSandwich); library(dplyr)

# pupils in classes in schools ------------------------------------------------
pupils <- read.csv("cr_classes_unequal.csv") |>
  mutate(x_mean = ave(x, class), x_dev = x - x_mean) |>
  arrange(school, class)

null  <- lmer(y ~ 1 + (1 | class), data = pupils)
parts <- as.data.frame(VarCorr(null))
m1    <- lmer(y ~ x_dev + x_mean + w + (1 | class), data = pupils, REML = TRUE)
m2    <- lmer(y ~ x_dev + x_mean + w + (x_dev || class), data = pupils)
ml    <- update(m1, REML = FALSE)
less  <- update(ml, . ~ . - w)
compare <- anova(less, ml)
summary(ml)
cr2 <- coef_test(m1, vcov = "CR2", cluster = pupils$school)
test <- Wald_test(m1, constraints = constrain_zero(c("x_dev", "x_mean")), vcov = "CR2", test = "HTZ")
bounds <- conf_int(m1, vcov = vcovCR(m1, type = "CR2"))
result <- c(logLik(m1), AIC(m1), BIC(m1), sigma(m1))
predicted <- predict(m1, newdata = head(pupils, 12))
