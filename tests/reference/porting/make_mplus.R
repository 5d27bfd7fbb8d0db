# The models of tests/porting/inputs/*.inp in lavaan and lme4: Rscript make_mplus.R > mplus.json
# (from this folder). The data are those of tests/porting/test_mplus.py, made from examples/.
suppressPackageStartupMessages({library(lavaan); library(lme4); library(jsonlite)})
demo <- read.csv("../../../examples/demo_twolevel.csv")
article <- read.csv("../../../examples/article.csv")
mediation <- read.csv("../../../examples/mediation.csv")
cen <- function(x, by) x - ave(x, by)
# estimates under names such as "y~~y.l2" and "f=~y2.g2", of free rows
of <- function(fit, se = TRUE) {
  t <- as.data.frame(parameterEstimates(fit))
  t <- t[!is.na(t$z) & t$op != "==", ]
  level <- if (is.null(t$level)) 1 else t$level
  group <- if (is.null(t$group)) 1 else t$group
  defined <- t$op == ":="
  key <- ifelse(defined, t$lhs, paste0(t$lhs, sub("~1", "~", t$op), ifelse(t$op == "~1", "1", t$rhs),
                ifelse(level == 2, ".l2", ""), ifelse(group == 2, ".g2", "")))
  list(loglik = as.numeric(logLik(fit)), chisq = unname(fitMeasures(fit, "chisq")),
       df = unname(fitMeasures(fit, "df")), est = as.list(setNames(t$est, key)),
       se = if (se) as.list(setNames(t$se, key)))
}
out <- list()

d <- transform(demo, x1 = x1 - mean(x1), x2 = x2 - mean(x2))
out$two_level_cfa <- of(sem('
  level: 1
    fw =~ y1 + y2 + y3
    fw ~ b1*x1 + b2*x2
  level: 2
    fb =~ y1 + y2 + y3
    fb ~ w1', d, cluster = "cluster", estimator = "MLR"))

out$mediation_111 <- of(sem('
  level: 1
    m ~ aw*x
    y ~ bw*m + cw*x
  level: 2
    m ~ ab*x
    y ~ bb*m + x
  indw := aw*bw
  indb := ab*bb
  diff := indb - indw', mediation, cluster = "id", fixed.x = FALSE), se = FALSE)
out$mediation_111$est[c("x~~x", "x~~x.l2", "x~1.l2")] <- NULL; out$mediation_111$chisq <- NULL

slope <- lmer(y ~ w1 * x1 + (x1 | id), article, REML = FALSE,
              control = lmerControl(optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10)))
b <- fixef(slope); v <- as.data.frame(VarCorr(slope))$vcov
out$random_slope <- list(loglik = as.numeric(logLik(slope)), est = list(
  "y~w1.l2" = b[["w1"]], "s~w1.l2" = b[["w1:x1"]], "s~1.l2" = b[["x1"]],
  "y~1.l2" = b[["(Intercept)"]], "y~~y.l2" = v[1], "s~~s.l2" = v[2], "s~~y.l2" = v[3],
  "y~~y" = v[4]))

out$indirect <- of(sem('
  y ~ m + x + z
  m ~ x + z', mediation, meanstructure = TRUE, information = "observed"))

waves <- demo[1:400, c("y1", "y2", "y3", "y4", "x1")]
names(waves)[5] <- "x"
n <- seq_len(400)
waves$y2[n %% 7 == 0] <- NA; waves$y4[n %% 3 == 0] <- NA; waves$y3[n %% 15 == 0] <- NA
out$growth <- of(growth('
  i =~ 1*y1 + 1*y2 + 1*y3 + 1*y4
  s =~ 0*y1 + 1*y2 + 2*y3 + 3*y4
  i ~ x
  s ~ x
  y1 ~~ eq1*y1
  y2 ~~ eq1*y2
  y3 ~~ eq1*y3
  y4 ~~ eq1*y4', waves, missing = "ml", information = "observed"))

groups <- demo[1:800, c("y1", "y2", "y3", "y4")]
groups$g <- ifelse(demo$cluster[1:800] %% 2 == 0, "even", "odd")
groups <- groups[order(groups$g), ]  # lavaan's groups are in the order of the data
out$groups <- of(cfa('f =~ y1 + y2 + y3 + y4', groups, group = "g",
  group.equal = c("loadings", "intercepts"), group.partial = c("f=~y3", "y3~1"),
  information = "observed", meanstructure = TRUE))

d <- subset(article, id <= 40 & id != 7)
d$x1 <- cen(d$x1, d$id); d$w1 <- pmin(d$w1, 3); d$x1w1 <- d$x1 * d$w1
out$complex <- of(sem('y ~ x1 + w1 + x1w1', d, cluster = "id", estimator = "MLR"))

d <- transform(demo, x1m = ave(x1, cluster), x1 = cen(x1, cluster))
out$contextual <- of(sem('
  level: 1
    y1 ~ b1*x1
    y4 ~ b2*x1
    y1 ~~ y4
  level: 2
    y1 ~ g1*w1 + g2*x1m
    y4 ~ g3*w1 + g4*x1m
    y1 ~~ 0*y4
  c1 := g2 - b1', d, cluster = "cluster", estimator = "MLR"))

cat(toJSON(out, auto_unbox = TRUE, digits = NA, pretty = TRUE), "\n")
