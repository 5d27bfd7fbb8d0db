# Logistic regression of a binary outcome in the five imputations of imputed.csv: glm, cluster-robust (CR0) by sandwich 3.0.2 (R 4.2.2),
# pooled by Rubin's rules, degrees of freedom of Barnard & Rubin (1999) with 47 for complete data. Writes pooled_glm.json.
suppressMessages({library(sandwich); library(jsonlite)})
d <- read.csv("imputed.csv"); d$high <- as.integer(d$y1 > 0)
fits <- lapply(split(d, d$imp), function(x) { f <- glm(high ~ x1 + w1 + y3, binomial, x, control = list(epsilon = 1e-14)); list(b = coef(f), v = vcovCL(f, x$id, type = "HC0", cadjust = FALSE)) })
Q <- t(sapply(fits, `[[`, "b")); m <- nrow(Q); U <- Reduce(`+`, lapply(fits, `[[`, "v")) / m; B <- var(Q); Tot <- U + (1 + 1/m) * B
lambda <- (1 + 1/m) * diag(B) / diag(Tot); nu <- 47; old <- (m - 1) / lambda^2; obs <- (nu + 1) / (nu + 3) * nu * (1 - lambda)
df <- 1 / (1 / old + 1 / obs); riv <- (1 + 1/m) * diag(B) / diag(U)
k <- 2:3; dd <- colMeans(Q)[k]; r <- (1 + 1/m) * sum(diag(B[k, k] %*% solve(U[k, k]))) / 2; t <- 2 * (m - 1)
D1 <- c(F = sum(dd * solve((1 + r) * U[k, k], dd)) / 2, df2 = 4 + (t - 4) * (1 + (1 - 2/t) / r)^2, riv = r)
write(toJSON(list(names = colnames(Q), each = Q, est = colMeans(Q), se = sqrt(diag(Tot)), riv = riv, df = df, fmi = (riv + 2 / (df + 3)) / (1 + riv), D1 = D1), digits = NA), "pooled_glm.json")
