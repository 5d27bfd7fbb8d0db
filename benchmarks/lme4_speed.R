# Processor seconds of lmer by REML.
# Rscript lme4_speed.R DATA.csv FORMULA REPEATS
# One line: version, REML log-likelihood at lme4's own stop and led on to 1e-10, then the seconds
# (user + system) of each call with lme4's own settings.
args <- commandArgs(TRUE)
suppressMessages(library(lme4))
formula <- as.formula(args[2])
data <- read.csv(args[1])
seconds <- vapply(seq_len(as.integer(args[3])), function(k) {
  spent <- system.time(fit <<- suppressMessages(lmer(formula, data = data, REML = TRUE)))
  spent[[1]] + spent[[2]]
}, 0)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5),
                     check.conv.singular = "ignore", check.conv.grad = "ignore")
best <- suppressMessages(lmer(formula, data = data, REML = TRUE, control = tight))
cat(c(as.character(packageVersion("lme4")), format(as.numeric(logLik(fit)), digits = 15),
      format(as.numeric(logLik(best)), digits = 15), sprintf("%.4f", seconds)), sep = "\t")
cat("\n")
