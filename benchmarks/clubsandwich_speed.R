# Processor seconds of CR2 and of its Satterthwaite degrees of freedom by clubSandwich.
# Rscript clubsandwich_speed.R DATA.csv FORMULA CLUSTER REPEATS
# One line: version, log-likelihood of lmer (ML), then the seconds (user + system) of each call of
# vcovCR(type = "CR2"), then those of each call of coef_test(test = "Satterthwaite") with its result.
args <- commandArgs(TRUE)
suppressMessages({library(lme4); library(clubSandwich)})
formula <- as.formula(args[2])
data <- read.csv(args[1])
data <- data[complete.cases(data[c(all.vars(formula), args[3])]), ]
fit <- lmer(formula, data = data, REML = FALSE)
seconds <- function(call) {
  spent <- system.time(call())
  spent[[1]] + spent[[2]]
}
repeats <- seq_len(as.integer(args[4]))
V <- NULL
covariance <- vapply(repeats, function(k) {
  seconds(function() V <<- vcovCR(fit, cluster = data[[args[3]]], type = "CR2"))
}, 0)
df <- vapply(repeats, function(k) {
  seconds(function() coef_test(fit, vcov = V, test = "Satterthwaite"))
}, 0)
cat(c(as.character(packageVersion("clubSandwich")), format(as.numeric(logLik(fit)), digits = 15),
      sprintf("%.4f", covariance), sprintf("%.4f", df)), sep = "\t")
cat("\n")
