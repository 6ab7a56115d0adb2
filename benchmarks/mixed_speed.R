# The side of lme4 and lmerTest in benchmarks/mixed_speed.py, which starts it:
#   Rscript benchmarks/mixed_speed.R check
#   Rscript benchmarks/mixed_speed.R FOLDER FIXED RANDOM REPEATS
# Reads data.csv, cells.csv, weights.csv of FOLDER; writes found.csv, with the seconds of fit, summary and contrasts.
arguments <- commandArgs(trailingOnly = TRUE)
for (package in c("lme4", "lmerTest")) if (!requireNamespace(package, quietly = TRUE)) {
  message("R lacks the package ", package)
  quit(status = 3)
}
if (arguments[1] == "check") quit(status = 0)
suppressMessages({library(lme4); library(lmerTest)})
folder <- arguments[1]
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)
data <- read("data.csv")
# Contrasts are given over cells; model.matrix turns them into the coefficients of the formula.
rows <- as.matrix(read("weights.csv")) %*% model.matrix(as.formula(paste("~", arguments[2])), read("cells.csv"))
formula <- as.formula(paste("score ~", arguments[2], "+", arguments[3]))
seconds <- c()
for (i in seq_len(as.integer(arguments[4]))) {
  begin <- sum(proc.time()[c("user.self", "sys.self")])
  fit <- suppressMessages(lmer(formula, data))
  invisible(summary(fit))
  table <- contest(fit, rows, joint = FALSE)
  seconds <- c(seconds, sum(proc.time()[c("user.self", "sys.self")]) - begin)
}
write.csv(data.frame(estimate = table$Estimate, se = table$`Std. Error`, df = table$df, seconds = median(seconds),
                     criterion = REMLcrit(fit)), file.path(folder, "found.csv"), row.names = FALSE)
