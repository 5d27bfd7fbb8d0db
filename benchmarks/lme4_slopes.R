# lmer of many small data sets, by ML and by REML, with its own settings.
# Rscript lme4_slopes.R DATA.csv FORMULAS.csv
# One line per fit: number, REML, whether the optimiser ended, log-likelihood, isSingular, seconds.
args <- commandArgs(TRUE)
suppressMessages(library(lme4))
data <- read.csv(args[1])
formulas <- read.csv(args[2])$formula
parts <- split(data, data$number)
for (number in sort(unique(data$number))) {
  part <- parts[[as.character(number)]]
  formula <- as.formula(formulas[number + 1])
  for (reml in c(FALSE, TRUE)) {
    fit <- NULL
    spent <- system.time(try(suppressMessages(suppressWarnings({
      fit <- lmer(formula, data = part, REML = reml)
      vcov(fit)
    })), silent = TRUE))
    ended <- !is.null(fit) && fit@optinfo$conv$opt == 0
    loglik <- if (is.null(fit)) NaN else as.numeric(logLik(fit))
    singular <- !is.null(fit) && isSingular(fit)
    cat(number, reml * 1, ended * 1, format(loglik, digits = 15), singular * 1,
        sprintf("%.4f", spent[[1]] + spent[[2]]), sep = "\t")
    cat("\n")
  }
}
