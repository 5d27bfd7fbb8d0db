# Mixed-model formulas on public data by lme4.
# Rscript lme4_formulas.R FOLDER       FOLDER/formulas.txt: a line "package<TAB>data<TAB>formula" each
# Writes FOLDER/DATA.csv and, a line each: number, REML log-likelihood (the better of two optimisers),
# rows, fixed effects left out, names of the fixed effects, their estimates and standard errors;
# or number, "error", message.
Sys.setlocale("LC_COLLATE", "C")
folder <- commandArgs(TRUE)[1]
suppressMessages({library(lme4); library(nlme); library(splines)})
lmList <- lme4::lmList
wanted <- read.delim(file.path(folder, "formulas.txt"), header = FALSE, quote = "", stringsAsFactors = FALSE)

frame <- function(package, name) {
  data <- as.data.frame(get(name, asNamespace(package), inherits = TRUE))
  if (name == "InstEval") data <- data[data$s %in% levels(data$s)[1:150], ]
  if (name == "VerbAgg") data <- transform(data[data$id %in% levels(data$id)[1:80], ], r = as.numeric(r2 == "Y"))
  if (name == "MathAchieve") data <- data[data$School %in% levels(data$School)[1:40], ]
  if (name == "cbpp") data <- transform(data, rate = incidence / size)
  file <- file.path(folder, paste0(name, ".csv"))
  write.csv(as.data.frame(lapply(data, function(v) if (is.factor(v)) as.character(v) else as.numeric(v))), file, row.names = FALSE, na = "")
  read.csv(file, stringsAsFactors = FALSE, na.strings = "")
}
used <- unique(wanted[, 1:2])
data <- setNames(Map(frame, used[[1]], used[[2]]), used[[2]])
control <- function(name, ...) lmerControl(optimizer = name, optCtrl = list(...), calc.derivs = FALSE)

for (k in seq_len(nrow(wanted))) {
  one <- tryCatch(suppressWarnings(suppressMessages({
    d <- data[[wanted[k, 2]]]; f <- as.formula(wanted[k, 3])
    first <- lmer(f, d, control = control("bobyqa", rhobeg = .2, rhoend = 1e-9, maxfun = 1e5))
    second <- lmer(f, d, control = control("Nelder_Mead", maxfun = 1e5, FtolAbs = 1e-10, XtolRel = 1e-10))
    fit <- if (logLik(second) > logLik(first)) second else first
    b <- fixef(fit); dropped <- attr(getME(fit, "X"), "col.dropped")
    c(format(as.numeric(logLik(fit)), digits = 15), nobs(fit), length(dropped), paste(names(b), collapse = ";"),
      paste(format(b, digits = 12), collapse = ";"), paste(format(sqrt(diag(as.matrix(vcov(fit)))), digits = 8), collapse = ";"))
  })), error = function(e) c("error", gsub("[\t\n]", " ", conditionMessage(e))))
  cat(k, one, sep = "\t"); cat("\n")
}
