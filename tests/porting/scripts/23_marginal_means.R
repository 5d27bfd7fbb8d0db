# Marginal means and slopes of a mixed model ###
library(lmerTest)
library(emmeans)

d <- read.csv("article.csv")
d$size <- factor(ifelse(d$w1 > 0, "large", "small"))
d$half <- ifelse(d$id %% 2 == 0, "even", "odd")
m <- lmer(y ~ size * half + x1 + size:x1 + (1 | id), data = d)

em <- emmeans(m, ~ size | half)
emmeans(m, pairwise ~ size)
sat <- emmeans(m, "size", lmer.df = "satterthwaite", at = list(x1 = 1))
differences <- pairs(sat)
slopes <- emtrends(m, ~ size, var = "x1", lmer.df = "satterthwaite")
table <- coef(summary(m))
b <- coef(summary(m))["x1", "Estimate"]
se <- summary(m)$coefficients["x1", "Std. Error"]
e <- residuals(m)[1:5]
new <- predict(m, newdata = d[1:3, ], re.form = NA)
ml <- update(m, REML = FALSE)
fit2 <- lmer(y ~ x1 + (1 | id), data = d[d$x1 > 0, ])
f <- fitted(fit2)[1:4]
