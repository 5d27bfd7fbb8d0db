# 加载程序包
library(lavaan)

# 读取数据
数据 <- read.csv("hs1939.csv")

# 定义模型：视觉与文本因子
模型 <- '
  视觉 =~ x1 + x2 + x3   # 第一因子
  文本 =~ x4 + x5 + x6
'
cfa(模型, data = 数据, std.lv = TRUE) -> 拟合
summary(拟合, fit.measures = TRUE)   # 输出结果
拟合指数 <- fitMeasures(拟合, c("cfi", "rmsea"))
print(拟合指数)
标准化 <- standardizedSolution(拟合)
