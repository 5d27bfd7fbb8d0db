library(lme4)
library(clubSandwich)

sleep <- read.csv("sleepstudy.csv")
sleep$Days2 <- sleep$Days^2

m1 <- lmer(Reaction ~ Days + Days2 + (1 | Subject), data = sleep)
summary(m1)

V  <- vcovCR(m1, type = "CR2")
ct <- coef_test(m1, vcov = V, test = "Satterthwaite")
coef_test(m1, vcov = "CR2")
ci <- conf_int(m1, vcov = "CR2", level = 0.90)
w  <- Wald_test(m1, constraints = constrain_zero(c("Days", "Days2")), vcov = "CR2")
p  <- w$p_val
ct0 <- coef_test(m1, vcov = "CR0", test = "z")
ses <- sqrt(diag(V))

# coarser clusters
classes <- read.csv("cr_classes_unequal.csv")
m2 <- lmer(y ~ x + w + (1 | class), data = classes)
V2 <- vcovCR(m2, cluster = classes$school, type = "CR2")
ct2 <- coef_test(m2, vcov = V2)
