# Processor seconds of clubSandwich's CR2 with df of a logit, or of geepack's exchangeable GEE.
# Rscript trials_speed.R DATA.csv FORMULA logit|gee
# One line: version, seconds (user + system).
args <- commandArgs(TRUE)
data <- read.csv(args[1])
formula <- as.formula(args[2])
if (args[3] == "logit") {
  suppressMessages(library(clubSandwich))
  fit <- glm(formula, binomial, data)
  spent <- system.time(coef_test(fit, "CR2", cluster = data$id))
  package <- "clubSandwich"
} else {
  suppressMessages(library(geepack))
  spent <- system.time(geeglm(formula, binomial, data, id = id, corstr = "exchangeable"))
  package <- "geepack"
}
cat(as.character(packageVersion(package)), sprintf("%.4f", spent[[1]] + spent[[2]]), sep = "\t")
cat("\n")
