# Oracle of tests/analysis/mixed/test_mixed.py: lme4, lmerTest and emmeans on four data sets.
# Run from the repository's root: Rscript tests/oracles/mixed_models.R
# Writes sleepstudy.csv (the data shipped with lme4), crossed.csv, boundary.csv, full.csv (simulated here) and
# mixed_models.csv. The optimiser's last digits differ from run to run where a variance is 0 ("boundary").
suppressMessages({library(lme4); library(lmerTest); library(emmeans)})
out <- "tests/oracles"
rows <- list()
put <- function(model, kind, name, value, se = NA, df = NA, p = NA)
  rows[[length(rows) + 1]] <<- data.frame(model, kind, name, value, se, df, p)

control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e6),
                       check.conv.singular = "ignore", calc.derivs = TRUE)
record <- function(label, fit) {
  fixed <- coef(summary(fit))
  for (i in rownames(fixed))
    put(label, "fixed", i, fixed[i, "Estimate"], fixed[i, "Std. Error"], fixed[i, "df"], fixed[i, "Pr(>|t|)"])
  spread <- as.data.frame(VarCorr(fit))
  for (i in seq_len(nrow(spread))) {
    name <- if (spread$grp[i] == "Residual") "residual" else paste(spread$grp[i], spread$var1[i])
    put(label, "sd", name, spread$sdcor[i])
  }
  put(label, "criterion", "REML", REMLcrit(fit))
}
emmeans_rows <- function(label, fit, spec, kind) {
  options <- list(lmer.df = "satterthwaite", lmerTest.limit = 1e5, pbkrtest.limit = 0)
  do.call(emm_options, options)
  table <- as.data.frame(contrast(emmeans(fit, spec), "trt.vs.ctrl", ref = 1, adjust = "none"))
  where <- intersect(c("arch", "size"), names(table))
  for (i in seq_len(nrow(table))) {
    name <- paste(c(as.character(table$contrast[i]), vapply(where, function(w) as.character(table[[w]][i]), "")),
                  collapse = " ")
    put(label, kind, name, table$estimate[i], table$SE[i], table$df[i], table$p.value[i])
  }
}

data(sleepstudy, package = "lme4")
write.csv(sleepstudy, file.path(out, "sleepstudy.csv"), row.names = FALSE)
record("sleepstudy", lmer(Reaction ~ Days + (1 | Subject), sleepstudy, control = control))

# A small study of the project's design: methods paired in blocks, crossed with languages. Two runs are
# missing and one run lacks two languages, so that nothing holds by balance alone.
set.seed(20250611)
grid <- expand.grid(language = paste0("l", 1:8), seed = 1:4, size = c("half", "quarter"),
                    arch = c("clip", "siglip2"), method = c("none", "fd", "mcl"), stringsAsFactors = FALSE)
grid$block <- with(grid, paste(arch, size, seed))
grid$run <- with(grid, paste(arch, size, method, seed))
grid$cross <- with(grid, paste(language, method))
draw <- function(key, sd) { k <- unique(key); setNames(rnorm(length(k), 0, sd), k)[key] }
run_sd <- c(none = 1, fd = 0.6, mcl = 2.5)
effect <- c(none = 0, fd = 6, mcl = 2)
grid$score <- 40 + effect[grid$method] + 3 * (grid$arch == "siglip2") - 4 * (grid$size == "quarter") +
  1.5 * (grid$arch == "siglip2" & grid$method == "fd") + draw(grid$block, 1.2) +
  run_sd[grid$method] * draw(grid$run, 1) + draw(grid$language, 5) + draw(grid$cross, 0.9) + rnorm(nrow(grid), 0, 1)
grid <- subset(grid, !(run %in% c("clip half fd 2", "siglip2 quarter mcl 4")) &
                     !(run == "clip quarter none 1" & language %in% c("l3", "l7")))
grid$method <- factor(grid$method, levels = c("none", "fd", "mcl"))
grid$score <- round(grid$score, 6)
write.csv(grid[c("arch", "size", "method", "seed", "language", "score")], file.path(out, "crossed.csv"),
          row.names = FALSE)
pooled <- lmer(score ~ method * arch * size + (1 | block) + (1 | run) + (1 | language) + (1 | cross), grid,
               control = control)
own <- lmer(score ~ method * arch * size + (1 | block) + (0 + dummy(method, "none") | run) +
              (0 + dummy(method, "fd") | run) + (0 + dummy(method, "mcl") | run) + (1 | language) + (1 | cross),
            grid, control = control)
for (label in c("pooled", "own")) {
  fit <- get(label)
  record(label, fit)
  emmeans_rows(label, fit, ~ method | arch * size, "cell contrast")
  emmeans_rows(label, fit, ~ method, "marginal contrast")
  table <- anova(fit)
  put(label, "F", "method:arch:size", table["method:arch:size", "F value"], NA,
      table["method:arch:size", "DenDF"], table["method:arch:size", "Pr(>F)"])
}
# A boundary: the same model on data whose blocks share nothing.
set.seed(7)
flat <- grid
flat$score <- round(40 + effect[as.character(flat$method)] + draw(flat$run, 1) + draw(flat$language, 2) -
  2 * ave(draw(flat$run, 1), flat$block) + rnorm(nrow(flat)), 6)
for (b in unique(flat$block)) flat$score[flat$block == b] <- flat$score[flat$block == b] - mean(flat$score[flat$block == b])
flat$score <- round(flat$score, 6)
write.csv(flat[c("arch", "size", "method", "seed", "language", "score")], file.path(out, "boundary.csv"),
          row.names = FALSE)
record("boundary", lmer(score ~ method + (1 | block) + (1 | run) + (1 | language), flat, control = control))

# The model of the report: what a small model costs differs between languages, and so does what a method gives
# there. A run is missing and two runs lack languages.
set.seed(20250723)
full <- expand.grid(language = paste0("l", 0:9), seed = 1:4, size = c("half", "quarter"),
                    arch = c("clip", "siglip2"), method = c("none", "fd", "mcl"), stringsAsFactors = FALSE)
full$block <- with(full, paste(arch, size, seed))
full$run <- with(full, paste(arch, size, method, seed))
full$cross <- with(full, paste(language, method))
full$place <- with(full, paste(language, arch, size))
full$placecross <- with(full, paste(language, arch, size, method))
full$score <- 40 + effect[full$method] + 3 * (full$arch == "siglip2") - 4 * (full$size == "quarter") +
  1.5 * (full$arch == "siglip2" & full$method == "fd") + draw(full$block, 1.2) +
  run_sd[full$method] * draw(full$run, 1) + draw(full$language, 5) + draw(full$cross, 0.9) + draw(full$place, 2) +
  draw(full$placecross, 0.8) + rnorm(nrow(full), 0, 1)
full <- subset(full, run != "siglip2 half fd 3" & !(run == "clip quarter none 1" & language %in% c("l3", "l7")) &
                     !(run == "siglip2 quarter mcl 4" & language == "l0"))
full$method <- factor(full$method, levels = c("none", "fd", "mcl"))
full$score <- round(full$score, 6)
write.csv(full[c("arch", "size", "method", "seed", "language", "score")], file.path(out, "full.csv"),
          row.names = FALSE)
whole <- lmer(score ~ method * arch * size + (1 | block) + (0 + dummy(method, "none") | run) +
                (0 + dummy(method, "fd") | run) + (0 + dummy(method, "mcl") | run) + (1 | language) + (1 | cross) +
                (1 | place) + (1 | placecross), full, control = control)
record("full", whole)
emmeans_rows("full", whole, ~ method | arch * size, "cell contrast")
emmeans_rows("full", whole, ~ method | arch, "one-factor contrast")
emmeans_rows("full", whole, ~ method | size, "one-factor contrast")
emmeans_rows("full", whole, ~ method, "marginal contrast")
table <- anova(whole)
put("full", "F", "method", table["method", "F value"], NA, table["method", "DenDF"], table["method", "Pr(>F)"])
# Does a method's effect differ anywhere? The report's rows, each place against the first: the denominator's df
# depends on which basis of the same hypothesis is tested, here by 0.4 %.
coefficients <- names(fixef(whole))
place_rows <- function(m) rbind(coefficients == sprintf("method%s:archsiglip2", m),
                                coefficients == sprintf("method%s:sizequarter", m),
                                startsWith(coefficients, sprintf("method%s:", m)))
joint <- contest(whole, rbind(place_rows("fd"), place_rows("mcl")) + 0)
put("full", "F", "method x (arch, size)", joint[["F value"]], NA, joint[["DenDF"]], joint[["Pr(>F)"]])

table <- do.call(rbind, rows)
table$software <- sprintf("R %s, lme4 %s, lmerTest %s, emmeans %s", getRversion(), packageVersion("lme4"),
                          packageVersion("lmerTest"), packageVersion("emmeans"))
for (column in c("value", "se", "df", "p")) table[[column]] <- signif(table[[column]], 12)
write.csv(table, file.path(out, "mixed_models.csv"), row.names = FALSE)
