library(lmerTest)
d <- read.csv("article.csv")

m0 <- lmer(y ~ x1 + w1 + (1 | id), data = d)
m1 <- update(m0, . ~ . + x1:w1)
m2 <- lmer(y ~ x1*w1 + (x1 | id), d, REML = FALSE, control = lmerControl(optimizer = "bobyqa"))
summary(m1)
summary(m1, ddf = "Kenward-Roger")

fixed <- fixef(m1)
aic <- c(AIC(m0), AIC(m2))
b <- BIC(m2)
test_fixed  <- anova(m0, m1)            # refits by ML
test_random <- anova(lmer(y ~ x1*w1 + (1 | id), d, REML = FALSE), m2)
singular <- isSingular(m2)
u <- ranef(m2)
fit_values <- fitted(m2)
s <- sigma(m1)
performance::icc(m1)
