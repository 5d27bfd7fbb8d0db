# Processor seconds of WeMix' mix() by the full weights of pupils and schools.
# Rscript wemix_speed.R DATA.csv FORMULA
# One line: version, seconds (user + system).
args <- commandArgs(TRUE)
suppressMessages(library(WeMix))
data <- read.csv(args[1])
spent <- system.time(mix(as.formula(args[2]), data = data, weights = c("W_STU", "W_SCH")))
cat(as.character(packageVersion("WeMix")), sprintf("%.4f", spent[[1]] + spent[[2]]), sep = "\t")
cat("\n")
