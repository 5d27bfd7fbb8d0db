library(lavaan)
d <- read.csv("hs1939.csv")

# build the measurement model from vectors of names
items  <- paste0("x", 1:3)
visual <- paste("visual =~", paste(items, collapse = " + "))
textual <- paste0("textual =~ ", paste0("x", 4:6, collapse = " + "))
speed <- sprintf("speed =~ %s + %s + %s", "x7", "x8", "x9")
measurement <- paste(visual, textual, speed, sep = "\n")

fit1 <- cfa(measurement, data = d)

# add residual covariances
extra <- "x7 ~~ x8"
model2 <- paste(measurement, extra, sep = "\n ")
fit2 <- cfa(model2, data = d)
fit3 <- cfa(paste0(measurement, '\n visual ~~ 0*speed'), data = d)

lr <- anova(fit1, fit2)
p <- lr$"Pr(>Chisq)"[2]
chi <- anova(fit3, fit1)[2, "Chisq diff"]
difference <- fitMeasures(fit1, "chisq") - fitMeasures(fit2, "chisq")
